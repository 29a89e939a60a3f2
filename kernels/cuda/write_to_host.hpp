#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

/// Queues a copy of a few kilobytes to pinned memory as a kernel: between other kernels it follows
/// and is followed as they are, where one by the copy engine would have it wait for them and them
/// for it.
void write_to_host(std::byte const* source, std::byte* pinned, std::size_t bytes,
                   cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
