#pragma once

#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/device/barrier.cuh"
#include "kernels/cuda/device/grid.cuh"

#include <cstddef>

/// How the warpgroups of a block on Hopper hand shared memory to each other, and which work the
/// block does.
namespace tesserank::kernels::cuda {

constexpr int group_threads = 128;
constexpr int computing_groups = 2;
constexpr int computing_warps = computing_groups * group_threads / 32;
constexpr int tile_slots = 2;  ///< of key tiles in shared memory, and as many of value tiles

/// A slot goes from the copying warpgroup (full) to the computing ones and back (empty).
struct Slot {
    Barrier full;
    Barrier empty;
};

struct Slots {
    Slot keys[tile_slots];
    Slot values[tile_slots];
    Barrier queries_read;  ///< all scores of an item are there

    __device__ void initialise_all() {
        for (Slot* of : {keys, values}) {
            for (int i = 0; i < tile_slots; ++i) {
                initialise(&of[i].full, group_threads);
                initialise(&of[i].empty, computing_warps);
            }
        }
        initialise(&queries_read, computing_warps);
    }
};

/// Which slot comes next, and how often all have been through.
struct Ring {
    int slot = 0;
    unsigned round = 0;

    __device__ void advance() {
        slot = (slot + 1) % tile_slots;
        round += slot == 0 ? 1 : 0;
    }
    /// For wait() on `full`; the one for `empty` is the opposite, since slots are empty at first.
    __device__ unsigned parity() const { return round % 2; }
};

/// The items of this block in order, the same for all its threads.
struct Items {
    PrefillCall const& call;
    std::size_t round = 0;
    QueryTile tile{};
    int head = 0;

    /// False when there is none left.
    __device__ bool next() {
        auto const heads = static_cast<std::size_t>(call.query_heads);
        for (;; ++round) {
            if (round * gridDim.x >= call.tile_count * heads) return false;
            std::size_t const item = item_of_round(round, blockIdx.x, gridDim.x);
            if (item >= call.tile_count * heads) continue;
            tile = call.tiles[item / heads];
            head = static_cast<int>(item % heads);
            ++round;
            if (round * gridDim.x >= call.tile_count * heads) let_next_grid_start();
            return tile.tokens > 0;  // those without tokens are the last ones
        }
    }
};

}  // namespace tesserank::kernels::cuda
