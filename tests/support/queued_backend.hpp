#pragma once

#include "kernels/buffer.hpp"
#include "kernels/reference/reference_backend.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <list>
#include <span>
#include <vector>

namespace tesserank::test {

/// A backend on a stream of the emulated device, which runs when somebody waits. It has no
/// operations but those of memory.
class QueuedBackend final : public kernels::reference::ReferenceBackend {
  public:
    explicit QueuedBackend(cudaStream_t stream) : stream_{stream} {}

    kernels::Buffer allocate(std::size_t bytes) override;
    void copy_from_host(std::span<std::byte const> source, std::byte* destination) override;
    void copy_to_host(std::byte const* source, std::span<std::byte> destination) override;
    void synchronize() override;
    void copy(kernels::ConstTensorView source, kernels::TensorView destination) override;

  private:
    cudaStream_t stream_;
    std::list<std::vector<std::byte>> sources_;  ///< of copies that wait
};

}  // namespace tesserank::test
