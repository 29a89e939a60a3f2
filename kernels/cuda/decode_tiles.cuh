#pragma once

#include "kernels/cuda/attention_decode.hpp"
#include "kernels/cuda/decode_merge.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"

#include <algorithm>

/// Keys and values on their way through shared memory to the tensor cores.
namespace tesserank::kernels::cuda {

inline constexpr unsigned decode_warps = 4;
inline constexpr unsigned decode_tile_positions = 16;
static_assert(decode_warps * decode_tile_positions == positions_per_turn);

/// Of the shared memory of a block.
template <unsigned D>
struct DecodeLayout {
    static constexpr unsigned row_bytes = D * 2 + 16;
    static constexpr unsigned tile_bytes = decode_tile_positions * row_bytes;
    /// 99 KiB is what a block can have on every device from 8.0 on, and two blocks on 9.0.
    static constexpr unsigned ring_tiles = 99 * 1024 / decode_warps / tile_bytes;
    static constexpr unsigned ring_bytes = ring_tiles * tile_bytes;
    /// When the tiles are done, the warps' results take their place; rows are padded so that the
    /// lanes of a half warp write to different banks.
    static constexpr unsigned mix_stride = D + 8;
    static constexpr unsigned mix_bytes = decode_warps * tensor_core_tile_rows * mix_stride * 4;
    static constexpr unsigned merge_bytes = mix_bytes + decode_warps * tensor_core_tile_rows * 8;
    static constexpr unsigned shared_bytes = std::max(decode_warps * ring_bytes, merge_bytes);
    static_assert(ring_tiles >= 3 && shared_bytes <= 99 * 1024);
};

/// One warp's tiles, keys and values in turn.
template <unsigned D>
class DecodeTiles {
  public:
    __device__ DecodeTiles(DecodeWork const& work, DecodeJob const& job, unsigned warp)
        : row_bytes_(work.k.stride * sizeof(BFloat16)),
          position_(job.part.begin + warp * decode_tile_positions),
          end_(job.part.end),
          ring_(dynamic_shared() + warp * DecodeLayout<D>::ring_bytes) {
        std::size_t const offset = job.cache_row * row_bytes_ + job.kv_head * D * sizeof(BFloat16);
        source_ = work.k.data + offset;
        other_source_ = work.v.data + offset;
        for (unsigned i = 0; i + 1 < DecodeLayout<D>::ring_tiles; ++i) fetch();
    }

    /// The next tile, until the next call; then starts another copy into the place of the one
    /// before.
    __device__ std::byte const* next() {
        wait_for_copies<DecodeLayout<D>::ring_tiles - 2>();
        __syncwarp();
        fetch();
        std::byte const* const tile = ring_ + used_ * DecodeLayout<D>::tile_bytes;
        used_ = used_ + 1 == DecodeLayout<D>::ring_tiles ? 0 : used_ + 1;
        return tile;
    }

  private:
    __device__ void fetch() {
        constexpr unsigned row_chunks = D / 8;
        std::byte* const tile = ring_ + filled_ * DecodeLayout<D>::tile_bytes;
        if (position_ < end_) {
#pragma unroll
            for (unsigned i = 0; i < decode_tile_positions * row_chunks / 32; ++i) {
                unsigned const chunk = i * 32 + threadIdx.x % 32;
                unsigned const row = chunk / row_chunks;
                unsigned const byte = chunk % row_chunks * 16;
                copy_async16(tile + row * DecodeLayout<D>::row_bytes + byte,
                             source_ + (position_ + row) * row_bytes_ + byte,
                             position_ + row < end_);
            }
        }
        // A group for every tile, also for none, so that next() can count them.
        commit_copies();
        filled_ = filled_ + 1 == DecodeLayout<D>::ring_tiles ? 0 : filled_ + 1;
        std::byte const* const done = source_;
        source_ = other_source_;
        other_source_ = done;
        if (values_) position_ += positions_per_turn;
        values_ = !values_;
    }

    std::size_t row_bytes_;
    std::uint32_t position_, end_;
    std::byte* ring_;
    std::byte const *source_, *other_source_;
    bool values_ = false;
    unsigned filled_ = 0, used_ = 0;
};

}  // namespace tesserank::kernels::cuda
