#pragma once

#include "kernels/cuda/attention_tiles.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// One call of prefill attention as its kernels get it.
struct PrefillCall {
    std::byte const* q = nullptr;
    std::size_t q_stride = 0;
    bool q_is_f32 = false;
    bool q_in_vectors = false;  ///< 16 bytes at a time are aligned
    std::byte const* k = nullptr;
    std::byte const* v = nullptr;
    std::size_t kv_stride = 0;
    bool kv_is_f32 = false;
    bool kv_in_vectors = false;
    std::byte* y = nullptr;
    std::size_t y_stride = 0;
    bool y_is_f32 = false;
    bool y_in_pairs = false;  ///< two elements at a time are aligned

    QueryTile const* tiles = nullptr;
    std::uint32_t tile_count = 0;  ///< at most; those at the end may have no work
    std::int32_t query_heads = 0;
    std::int32_t queries_per_kv = 1;
    std::int32_t first_query = 0;
    std::int32_t head_dim = 0;
    float scale = 1.0F;
    Visibility visibility;
};

/// Tokens of a QueryTile, the same for all kernels on tensor cores.
constexpr int tensor_tile_tokens = 128;
constexpr int plain_tile_tokens = 16;

/// Whether the kernels on tensor cores have this size.
constexpr bool has_tensor_tiles(std::size_t head_dim) {
    return head_dim == 64 || head_dim == 80 || head_dim == 96 || head_dim == 128 || head_dim == 256;
}

/// bf16 cache, has_tensor_tiles(head_dim), scale > 0. The weights of the softmax are rounded to
/// bf16, as q is if it is f32.
/// `shared_bytes`: what a block can have at most, 99 KiB or more.
void attention_prefill_mma(PrefillCall const& call, std::size_t shared_bytes, cudaStream_t stream);
/// The same for compute capability 9.0.
void attention_prefill_wgmma(PrefillCall const& call, int multiprocessors, cudaStream_t stream);
/// Any head_dim, f32 throughout.
void attention_prefill_plain(PrefillCall const& call, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
