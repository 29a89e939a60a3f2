#pragma once

#include "kernels/backend.hpp"

#include <cstddef>

namespace tesserank::model {

/// Memory for activations that live within one forward pass: allocated once, handed out from the
/// front, given back in reverse order by frames.
class Workspace {
  public:
    Workspace(kernels::Backend& backend, std::size_t bytes);

    /// Uninitialised; valid until the frame in which it was taken ends.
    kernels::TensorView take(kernels::DType dtype, std::size_t rows, std::size_t cols);

    /// What take() uses of the workspace for a tensor: its bytes, rounded up to the alignment.
    static std::size_t bytes_of(kernels::DType dtype, std::size_t rows, std::size_t cols);

    /// Gives back, at the end of its scope, all that was taken within it.
    class Frame {
      public:
        explicit Frame(Workspace& workspace) : workspace_{workspace}, used_{workspace.used_} {}
        ~Frame() { workspace_.used_ = used_; }
        Frame(Frame const&) = delete;
        Frame& operator=(Frame const&) = delete;

      private:
        Workspace& workspace_;
        std::size_t used_;
    };

  private:
    kernels::Buffer memory_;
    std::size_t bytes_;
    std::size_t used_ = 0;
};

}  // namespace tesserank::model
