#pragma once

#include "kernels/tensor.hpp"

#include <cstddef>
#include <memory>

namespace tesserank::kernels {

/// Frees memory that a backend allocated.
struct BufferDeleter {
    void (*release)(void* context, std::byte* memory, std::size_t bytes) noexcept = nullptr;
    void* context = nullptr;
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const noexcept { release(context, memory, bytes); }
};

/// Owns memory of a backend's device, aligned to 64 bytes at least. Null when zero bytes were asked
/// for.
using Buffer = std::unique_ptr<std::byte, BufferDeleter>;

/// A matrix that owns its memory; contiguous.
struct Tensor {
    Buffer buffer;
    TensorView view;
};

}  // namespace tesserank::kernels
