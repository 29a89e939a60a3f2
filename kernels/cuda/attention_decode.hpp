#pragma once

#include "kernels/backend.hpp"
#include "kernels/cuda/decode_splits.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Attention over parts of the visible positions, before it is divided by the sum of the weights.
/// A part has `rows` query heads.
struct Partials {
    float* mix = nullptr;  ///< [parts, rows, row_stride]: weights times values
    /// [parts, rows]: the largest score (times log2 e), to which the weights are relative, and
    /// their sum
    float2* norms = nullptr;
    std::size_t rows = 0;
    std::size_t row_stride = 0;
};

/// One call of attention_decode: block (segment * kv_heads + kv_head) * query_tiles + tile, times
/// splits, plus split.
struct DecodeWork {
    ConstTensorView q{}, k{}, v{};
    TensorView y{};
    DeviceSpan<Segment const> segments{};
    AttentionShape shape{};
    std::uint32_t tile_rows = 1;    ///< query heads of a block
    std::uint32_t query_tiles = 1;  ///< see query_tiles()
    Cut cut{};
    Partials partials{};                ///< [groups * splits] parts, when there are several splits
    std::uint32_t* finished = nullptr;  ///< [groups] zeros, and zeros again afterwards

    std::size_t groups() const { return segments.size * shape.kv_heads * query_tiles; }
    std::size_t blocks() const { return groups() * cut.splits; }
};

/// Whether the kernel for tensor cores can do it: all bf16 but y, head_dim 64, 80, 96, 128 or 256,
/// rows aligned to 16 bytes.
bool fits_tensor_cores(DecodeWork const& work);
inline constexpr std::uint32_t tensor_core_tile_rows = 16;
/// That a multiprocessor has registers for; its shared memory may hold fewer.
inline constexpr unsigned tensor_core_blocks = 2;
/// 0 for other head_dims.
std::size_t tensor_core_shared_bytes(std::size_t head_dim);
void launch_tensor_core_decode(DecodeWork const& work, cudaStream_t stream);

/// Everything else.
inline constexpr unsigned plain_blocks = 4;
std::uint32_t plain_tile_rows(AttentionShape const& shape);
std::size_t plain_shared_bytes(std::size_t tile_rows, std::size_t head_dim);
void launch_plain_decode(DecodeWork const& work, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
