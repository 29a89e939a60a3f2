#pragma once

#include "io/model_file/checksum.hpp"
#include "io/model_file/model_writer.hpp"
#include "model/held_regions.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::io {

/// Writes tensors to the places that a ModelWriter has reserved for them, perhaps in another
/// process. Memory: a checksum per block of one tensor.
class TensorWriter {
  public:
    explicit TensorWriter(std::vector<WritableFile> files) : files_(std::move(files)) {}

    /// Begins a tensor; its bytes follow by append(), in whole elements. Of one that is cut, place
    /// p gets the regions of rank `places[p].file - 1`.
    void begin(std::span<Place const> places, kernels::DType dtype,
               model::HeldTensor const* cut = nullptr);
    /// Errors: SystemError when the disk is full; LogicError for more bytes than the tensor has.
    void append(std::span<std::byte const> bytes);
    /// The checksums of all blocks, one place after the other. Errors: LogicError unless all bytes
    /// are there.
    std::vector<std::uint64_t> end();

  private:
    struct Part {
        Place place;
        std::size_t done;
        BlockChecksums checksums;
    };
    std::span<std::byte const> part_of(Part const& part, std::span<std::byte const> bytes);

    std::vector<WritableFile> files_;
    std::vector<Part> parts_;  ///< of the tensor that is being written
    kernels::DType dtype_ = kernels::DType::f32;
    model::HeldTensor const* cut_ = nullptr;
    std::size_t elements_ = 0;  ///< of it, seen so far
    std::vector<std::byte> piece_;
};

}  // namespace tesserank::io
