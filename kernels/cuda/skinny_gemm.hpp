#pragma once

#include "kernels/cuda/product.hpp"

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

/// Rows of x up to which weights are streamed through stream_gemm() or row_gemm().
inline constexpr std::size_t skinny_tokens = 16;

/// Whether stream_gemm() takes the product: bf16 x and w, at most skinny_tokens rows of x, and
/// 16-byte alignment of all rows.
bool can_stream(Product const& product);

/// Reads w at the speed of memory. It starts to before earlier kernels have ended, so w, its scales
/// and the bias must not be among what has been written since the last synchronize().
void stream_gemm(Product const& product, unsigned multiprocessors, cudaStream_t stream);

/// Any shape, types and alignment.
void row_gemm(Product const& product, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
