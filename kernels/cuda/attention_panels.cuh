#pragma once

#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/memory.cuh"

#include <cstddef>
#include <cstdint>

/// Rows of bf16 in shared memory for tensor cores: panels of 64 columns, one after the other. In a
/// panel a row takes 128 bytes, and its 16-byte chunk c stands where chunk c xor (row % 8) would,
/// so that neither 8 rows of one chunk nor one row meet in a bank. wgmma knows this order as its
/// 128-byte swizzle; panels begin at a multiple of 1024 bytes.
namespace tesserank::kernels::cuda {

/// `Rows` rows of `Columns` columns; of the last panel, what is beyond them is not used.
template <int Rows, int Columns>
struct Panels {
    static_assert(Columns % 16 == 0 && Rows % 8 == 0);
    static constexpr int rows = Rows;
    static constexpr int chunks = Columns / 8;
    static constexpr int panels = (Columns + 63) / 64;
    static constexpr int panel_bytes = Rows * 128;
    static constexpr int bytes = panels * panel_bytes;

    static constexpr int chunk_offset(int row, int chunk) {
        return chunk / 8 * panel_bytes + row * 128 + ((chunk % 8) ^ (row % 8)) * 16;
    }
};

/// Eight elements of any alignment as bf16.
__device__ __forceinline__ uint4 gather_chunk(std::uint16_t const* source) {
    auto const pair = [&](int i) { return source[i] | std::uint32_t{source[i + 1]} << 16U; };
    return {pair(0), pair(2), pair(4), pair(6)};
}
__device__ __forceinline__ uint4 gather_chunk(float const* source) {
    auto const pair = [&](int i) { return pack_bf16(source[i], source[i + 1]); };
    return {pair(0), pair(2), pair(4), pair(6)};
}
/// Eight floats that are aligned to 16 bytes.
__device__ __forceinline__ uint4 round_chunk(float const* source) {
    auto const low = *reinterpret_cast<float4 const*>(source);
    auto const high = *reinterpret_cast<float4 const*>(source + 4);
    return {pack_bf16(low.x, low.y), pack_bf16(low.z, low.w), pack_bf16(high.x, high.y),
            pack_bf16(high.z, high.w)};
}

/// Rows of a matrix in global memory.
struct SourceRows {
    std::byte const* data = nullptr;
    std::size_t first = 0;  ///< element where row 0 begins
    std::size_t stride = 0;
    int rows = 0;  ///< those beyond are zeros
    bool is_f32 = false;
    bool in_vectors = false;  ///< chunks are aligned to 16 bytes
};

/// Starts copying eight columns, from element `at` on; zeros when not `valid`.
__device__ __forceinline__ void load_chunk(std::byte* target, SourceRows const& source,
                                           std::size_t at, bool valid) {
    auto const* const halves = reinterpret_cast<std::uint16_t const*>(source.data) + at;
    if (source.in_vectors && !source.is_f32) {
        copy_async16(target, halves, valid);
    } else if (!valid) {
        store16(target, {0, 0, 0, 0});
    } else if (source.is_f32) {
        auto const* const floats = reinterpret_cast<float const*>(source.data) + at;
        store16(target, source.in_vectors ? round_chunk(floats) : gather_chunk(floats));
    } else {
        store16(target, gather_chunk(halves));
    }
}

/// Starts filling the panels at `target` by `Threads` threads, of which this is number `thread`.
/// Complete when their copies are. Eight threads share a row of a panel.
template <class Layout, int Threads>
__device__ __forceinline__ void load_panels(std::byte* target, SourceRows const& source,
                                            int thread) {
    static_assert(Threads % 64 == 0, "a thread's rows are alike modulo 8");
    int const chunk = thread % 8;
    target += Layout::chunk_offset(thread / 8, chunk);
    std::size_t const first = source.first + static_cast<std::size_t>(chunk * 8);
#pragma unroll 4
    for (int below = 0; below < Layout::rows; below += Threads / 8) {
        int const row = thread / 8 + below;
        if (Layout::rows % (Threads / 8) != 0 && row >= Layout::rows) break;
        bool const valid = row < source.rows;
        std::size_t const start = first + static_cast<std::size_t>(valid ? row : 0) * source.stride;
#pragma unroll
        for (int panel = 0; panel < Layout::panels; ++panel) {
            if (panel * 8 + chunk >= Layout::chunks) continue;
            load_chunk(target + panel * Layout::panel_bytes + below * 128, source,
                       start + static_cast<std::size_t>(panel * 64), valid);
        }
    }
}

/// The queries of a tile.
__device__ __forceinline__ SourceRows queries_of(PrefillCall const& call, QueryTile const& tile,
                                                 int head) {
    return {.data = call.q,
            .first = tile.row * call.q_stride + static_cast<std::size_t>(head * call.head_dim),
            .stride = call.q_stride,
            .rows = tile.tokens,
            .is_f32 = call.q_is_f32,
            .in_vectors = call.q_in_vectors};
}

/// The keys or values from position `first` on that the head reads.
__device__ __forceinline__ SourceRows positions_of(PrefillCall const& call, std::byte const* cache,
                                                   QueryTile const& tile, int head, int first) {
    int const kv_head = (call.first_query + head) / call.queries_per_kv;
    return {.data = cache,
            .first = (tile.cache_row + static_cast<std::size_t>(first)) * call.kv_stride +
                     static_cast<std::size_t>(kv_head * call.head_dim),
            .stride = call.kv_stride,
            .rows = tile.context - first,
            .in_vectors = call.kv_in_vectors};
}

}  // namespace tesserank::kernels::cuda
