#pragma once

#include "kernels/cuda/cuda_check.hpp"
#include "kernels/handle.hpp"

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

struct PinnedTraits {
    using Value = std::byte*;
    static void close(std::byte* memory) noexcept { cudaFreeHost(memory); }
};
/// Host memory that the device copies from and to while the host does something else.
using PinnedMemory = Handle<PinnedTraits>;

inline PinnedMemory make_pinned_memory(std::size_t bytes) {
    void* memory = nullptr;
    if (bytes > 0) check_cuda(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    return PinnedMemory(static_cast<std::byte*>(memory));
}

}  // namespace tesserank::kernels::cuda
