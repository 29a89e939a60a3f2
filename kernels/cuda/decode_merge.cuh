#pragma once

#include "kernels/cuda/attention_decode.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/floats.cuh"

#include <limits>

/// What the kernels of decode attention share: which part a block works on, and how parts become
/// the result.
///
/// The blocks of a group write what they found to memory, and the one that ends last merges it: a
/// kernel of its own for that would cost a launch in each layer, while the counter costs a round
/// trip to L2.
namespace tesserank::kernels::cuda {

inline constexpr float lowest_score = -std::numeric_limits<float>::infinity();

/// What one block computes.
struct DecodeJob {
    std::uint32_t group = 0, split = 0;
    std::uint32_t segment = 0, kv_head = 0;
    QueryHeads heads;
    // From here on by find_part().
    std::uint32_t splits_used = 0;
    std::size_t row = 0;        ///< of q and y
    std::size_t cache_row = 0;  ///< of position 0
    Positions part;             ///< none: the block has nothing to do
};

/// What follows from the block's index alone; the grid bounds all these numbers.
__device__ inline DecodeJob job_of(DecodeWork const& work, std::uint32_t block) {
    DecodeJob job;
    auto const kv_heads = static_cast<std::uint32_t>(work.shape.kv_heads);
    job.split = block % work.cut.splits;
    job.group = block / work.cut.splits;
    std::uint32_t const head = job.group / work.query_tiles;
    job.segment = head / kv_heads;
    job.kv_head = head % kv_heads;
    job.heads =
        query_heads_of(work.shape, job.kv_head, job.group % work.query_tiles, work.tile_rows);
    return job;
}

/// The rest, from the sequence's length of the moment.
__device__ inline void find_part(DecodeJob& job, DecodeWork const& work) {
    Segment const& segment = work.segments.data[job.segment];
    if (segment.tokens == 0 || job.heads.count == 0) return;
    auto const visible = visible_positions(segment.first_position, work.shape.window);
    job.splits_used = splits_used(visible.count(), work.cut);
    job.part = part_of(visible, work.cut, job.split);
    job.row = segment.row;
    job.cache_row = segment.cache_row;
}

/// `Width` columns of one row, of several parts together.
template <unsigned Width>
struct Merged {
    std::uint32_t row, col;
    Floats<Width> mix;
    float2 norm;  ///< as in Partials
};

/// Parts first .. first + count - 1, of which `rows` rows and `cols` columns are used. The first
/// one has seen a position.
struct PartsToMerge {
    Partials from;
    std::size_t first;
    std::uint32_t count, rows, cols;
};

/// One part more, relative to the largest score so far: norms and mixes are then read together.
template <unsigned Width>
__device__ void add_part(Merged<Width>& merged, float2 norm, Floats<Width> const& mix) {
    float const largest = fmaxf(merged.norm.x, norm.x);
    float const shrink = exp2f(merged.norm.x - largest);
    float const weight = exp2f(norm.x - largest);
    merged.norm = {largest, fmaf(weight, norm.y, merged.norm.y * shrink)};
#pragma unroll
    for (unsigned i = 0; i < Width; ++i) {
        merged.mix.at[i] = fmaf(weight, mix.at[i], merged.mix.at[i] * shrink);
    }
}

/// Calls sink(Merged) for all columns of all rows, by all threads of the block.
template <unsigned Width, class Sink>
__device__ void merge(PartsToMerge const& parts, Sink const& sink) {
    Partials const& from = parts.from;
    std::uint32_t const chunks = parts.cols / Width;
    for (std::uint32_t item = threadIdx.x; item < parts.rows * chunks; item += blockDim.x) {
        Merged<Width> merged{item / chunks, item % chunks * Width, {}, {lowest_score, 0.0F}};
        std::size_t const row = parts.first * from.rows + merged.row;
        float2 const* const norms = from.norms + row;
        float const* const mixes = from.mix + row * from.row_stride + merged.col;
#pragma unroll 8
        for (std::uint32_t p = 0; p < parts.count; ++p) {
            add_part<Width>(
                merged, norms[p * from.rows],
                *reinterpret_cast<Floats<Width> const*>(mixes + p * from.rows * from.row_stride));
        }
        sink(merged);
    }
}

template <unsigned Width>
__device__ void merge_into_result(DecodeWork const& work, DecodeJob const& job,
                                  PartsToMerge const& parts) {
    merge<Width>(parts, [&](Merged<Width> const& merged) {
        auto result = merged.mix;
        for (float& value : result.at) value /= merged.norm.y;
        std::size_t const col = (job.heads.first + merged.row) * work.shape.head_dim + merged.col;
        store_floats<Width>(work.y.data, work.y.dtype, job.row * work.y.stride + col, result);
    });
}

template <unsigned Width>
__device__ void merge_into_partials(DecodeWork const& work, DecodeJob const& job,
                                    PartsToMerge const& parts) {
    Partials const& to = work.partials;
    merge<Width>(parts, [&](Merged<Width> const& merged) {
        std::size_t const row =
            (std::size_t{job.group} * work.cut.splits + job.split) * to.rows + merged.row;
        *reinterpret_cast<Floats<Width>*>(to.mix + row * to.row_stride + merged.col) = merged.mix;
        if (merged.col == 0) to.norms[row] = merged.norm;
    });
}

/// Whether this block is the last of its group to come here; it then sees what the others wrote.
/// What lies in dynamic_shared() is lost: a static variable would take a KiB beside it.
__device__ inline bool last_of_group(DecodeWork const& work, DecodeJob const& job) {
    auto& last = *reinterpret_cast<bool*>(dynamic_shared());
    __syncthreads();
    if (threadIdx.x == 0) {
        std::uint32_t* const finished = work.finished + job.group;
        // One thread's fences stand for all: the barriers order what the others do.
        __threadfence();
        last = atomicAdd(finished, 1U) + 1 == job.splits_used;
        __threadfence();
        if (last) *finished = 0;
    }
    __syncthreads();
    return last;
}

/// Ends a block: `parts` of its warps lie in shared memory, visible to all its threads.
template <unsigned Width>
__device__ void finish_block(DecodeWork const& work, DecodeJob const& job,
                             PartsToMerge const& parts) {
    if (job.splits_used == 1) {
        merge_into_result<Width>(work, job, parts);
        return;
    }
    merge_into_partials<Width>(work, job, parts);
    if (!last_of_group(work, job)) return;
    merge_into_result<Width>(work, job,
                             {.from = work.partials,
                              .first = std::size_t{job.group} * work.cut.splits,
                              .count = job.splits_used,
                              .rows = parts.rows,
                              .cols = parts.cols});
}

}  // namespace tesserank::kernels::cuda
