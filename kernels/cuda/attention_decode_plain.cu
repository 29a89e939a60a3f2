/// Decode attention for every dtype, head_dim and alignment, in f32 throughout.
///
/// A block has four warps, which take turns of 32 positions each. For the scores a lane takes one
/// position, so that its sum needs no other lane and each key is read once for all queries; for the
/// values a lane takes columns, so that a warp reads rows as they lie in memory.
#include "kernels/cuda/attention_decode.hpp"
#include "kernels/cuda/decode_merge.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/launch.cuh"

#include <algorithm>
#include <numbers>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned warps = 4;
constexpr unsigned lanes = warp_size;

/// Dynamic shared memory, in floats:
///   norms [warps, rows, 2], weights [warps, rows, lanes], queries [rows, D], mixes [warps, rows,
///   D]
/// The compiler reads the last queries as a vector, so that none of the mixes lies in it.
struct Shared {
    float *queries, *mixes, *weights;
    float2* norms;

    __device__ Shared(unsigned rows, std::size_t dim) {
        norms = reinterpret_cast<float2*>(dynamic_shared());
        weights = reinterpret_cast<float*>(norms + warps * rows);
        queries = weights + warps * rows * lanes;
        mixes = queries + whole_vectors(rows * dim);
    }
    static __host__ __device__ std::size_t whole_vectors(std::size_t floats) {
        return (floats + 3) / 4 * 4;
    }
    static std::size_t bytes(std::size_t rows, std::size_t dim) {
        return rows * warps * (sizeof(float2) + lanes * sizeof(float)) +
               (whole_vectors(rows * dim) + warps * rows * dim) * sizeof(float);
    }
};

/// Queries times the scale, zeros beyond the group, and empty mixes.
template <unsigned Rows>
__device__ void start(Shared const& shared, DecodeWork const& work, DecodeJob const& job) {
    std::size_t const dim = work.shape.head_dim;
    float const scale = work.shape.scale * std::numbers::log2e_v<float>;
    std::size_t const first = job.row * work.q.stride + job.heads.first * dim;
    for (std::size_t i = threadIdx.x; i < Rows * dim; i += blockDim.x) {
        bool const exists = i < job.heads.count * dim;
        shared.queries[i] =
            exists ? scale * load_floats<1>(work.q.data, work.q.dtype, first + i).at[0] : 0.0F;
    }
    for (std::size_t i = threadIdx.x; i < warps * Rows * dim; i += blockDim.x) {
        shared.mixes[i] = 0.0F;
    }
    __syncthreads();
}

/// The scores of one position.
template <unsigned Rows, class T>
__device__ void score(float (&scores)[Rows], T const* key, float const* queries, std::size_t dim) {
    for (float& sum : scores) sum = 0.0F;
    for (std::size_t d = 0; d < dim; ++d) {
        float const element = load_float(key[d]);
#pragma unroll
        for (unsigned r = 0; r < Rows; ++r)
            scores[r] = fmaf(queries[r * dim + d], element, scores[r]);
    }
}

/// One warp's part of the work. The norms of its rows are the same in all lanes.
template <unsigned Rows, class T>
struct Warp {
    float *weights, *mixes;
    unsigned lane;
    std::size_t dim, stride;
    float largest[Rows] = {}, sum[Rows] = {}, shrink[Rows] = {};

    /// Weights of the positions of all lanes, relative to the largest score so far.
    __device__ void weigh(float const (&scores)[Rows]) {
#pragma unroll
        for (unsigned r = 0; r < Rows; ++r) {
            float const most = fmaxf(largest[r], warp_max(scores[r]));
            shrink[r] = exp2f(largest[r] - most);
            largest[r] = most;
            float const weight = exp2f(scores[r] - most);
            sum[r] = fmaf(sum[r], shrink[r], warp_sum(weight));
            weights[r * lanes + lane] = weight;
        }
        __syncwarp();
    }

    /// Adds the values of `count` positions from `value` on.
    __device__ void mix(T const* value, unsigned count) {
        for (std::size_t d = lane; d < dim; d += lanes) {
            float column[Rows];
#pragma unroll
            for (unsigned r = 0; r < Rows; ++r) column[r] = mixes[r * dim + d] * shrink[r];
            for (unsigned p = 0; p < count; ++p) {
                float const element = load_float(value[p * stride + d]);
#pragma unroll
                for (unsigned r = 0; r < Rows; ++r) {
                    column[r] = fmaf(weights[r * lanes + p], element, column[r]);
                }
            }
#pragma unroll
            for (unsigned r = 0; r < Rows; ++r) mixes[r * dim + d] = column[r];
        }
        __syncwarp();
    }
};

template <unsigned Rows, class T>
__global__ void __launch_bounds__(warps* lanes, plain_blocks) decode(DecodeWork work) {
    let_next_grid_start();
    DecodeJob job = job_of(work, blockIdx.x);
    wait_for_previous_grid();
    find_part(job, work);
    if (job.part.count() == 0) return;
    std::size_t const dim = work.shape.head_dim, stride = work.k.stride;
    unsigned const lane = threadIdx.x % lanes;
    unsigned const index = threadIdx.x / lanes;
    Shared const shared(Rows, dim);
    start<Rows>(shared, work, job);

    Warp<Rows, T> warp{.weights = shared.weights + index * Rows * lanes,
                       .mixes = shared.mixes + index * Rows * dim,
                       .lane = lane,
                       .dim = dim,
                       .stride = stride};
    for (float& largest : warp.largest) largest = lowest_score;
    std::size_t const head = job.cache_row * stride + job.kv_head * dim;
    auto const* const keys = reinterpret_cast<T const*>(work.k.data) + head;
    auto const* const values = reinterpret_cast<T const*>(work.v.data) + head;
    for (std::uint32_t first = job.part.begin + index * lanes; first < job.part.end;
         first += warps * lanes) {
        unsigned const count = min(lanes, job.part.end - first);
        float scores[Rows];
        score(scores, keys + (first + std::min(lane, count - 1)) * stride, shared.queries, dim);
        if (lane >= count) {
            for (float& hidden : scores) hidden = lowest_score;
        }
        warp.weigh(scores);
        warp.mix(values + first * stride, count);
    }
    if (lane < Rows) {
#pragma unroll
        for (unsigned r = 0; r < Rows; ++r) {
            if (lane == r) shared.norms[index * Rows + r] = {warp.largest[r], warp.sum[r]};
        }
    }
    __syncthreads();
    Partials const partials{
        .mix = shared.mixes, .norms = shared.norms, .rows = Rows, .row_stride = dim};
    finish_block<1>(work, job,
                    {.from = partials,
                     .first = 0,
                     .count = warps,
                     .rows = job.heads.count,
                     .cols = static_cast<std::uint32_t>(dim)});
}

template <unsigned Rows>
void launch_rows(DecodeWork const& work, cudaStream_t stream) {
    LaunchShape const shape{.grid = dim3(static_cast<unsigned>(work.blocks())),
                            .block = dim3(warps * lanes),
                            .shared_bytes = Shared::bytes(Rows, work.shape.head_dim)};
    if (work.k.dtype == DType::f32) {
        launch_dependent(decode<Rows, float>, shape, stream, work);
    } else {
        launch_dependent(decode<Rows, BFloat16>, shape, stream, work);
    }
}

constexpr std::uint32_t most_rows = 8;

}  // namespace

/// One row where a group has no more, and where more do not fit into shared memory.
std::uint32_t plain_tile_rows(AttentionShape const& shape) {
    constexpr std::size_t shared_bytes = 64 * 1024;
    bool const fits = Shared::bytes(most_rows, shape.head_dim) <= shared_bytes;
    return fits && std::min(shape.queries_per_kv, shape.query_heads) > 1 ? most_rows : 1;
}

std::size_t plain_shared_bytes(std::size_t tile_rows, std::size_t head_dim) {
    return Shared::bytes(tile_rows, head_dim);
}

void launch_plain_decode(DecodeWork const& work, cudaStream_t stream) {
    if (work.tile_rows == 1) {
        launch_rows<1>(work, stream);
    } else {
        launch_rows<most_rows>(work, stream);
    }
}

}  // namespace tesserank::kernels::cuda
