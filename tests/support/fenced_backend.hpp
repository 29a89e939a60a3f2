#pragma once

#include "kernels/buffer.hpp"
#include "kernels/reference/reference_backend.hpp"

#include <cstddef>
#include <span>

namespace tesserank::test {

/// A backend whose memory only its own copies reach, as that of a GPU: at the addresses that it
/// gives out, everybody else crashes. It has no operations but those of memory.
class FencedBackend final : public kernels::reference::ReferenceBackend {
  public:
    kernels::Buffer allocate(std::size_t bytes) override;
    void copy_from_host(std::span<std::byte const> source, std::byte* destination) override;
    void copy_to_host(std::byte const* source, std::span<std::byte> destination) override;
    void copy(kernels::ConstTensorView source, kernels::TensorView destination) override;
};

}  // namespace tesserank::test
