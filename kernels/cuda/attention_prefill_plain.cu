#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/dtype.hpp"

#include <cmath>

/// Attention without tensor cores, for whatever the other kernels do not take: f32 caches and odd
/// head sizes. A warp takes four queries of one head; a lane computes their scores with one of 32
/// keys, and then its columns of their results. Results wider than 128 columns are cut over blocks,
/// which all compute the scores.
namespace tesserank::kernels::cuda {
namespace {

constexpr int warps = 4;
constexpr int threads = warps * 32;
constexpr int warp_queries = plain_tile_tokens / warps;
constexpr int positions = 32;
constexpr int depth = 64;        // columns of q and k at a time
constexpr int lane_columns = 4;  // of the result
constexpr int columns = 32 * lane_columns;

/// What a block shares; rows of keys are one longer so that lanes read different banks.
struct Shared {
    float queries[plain_tile_tokens][depth];
    float keys[positions][depth + 1];
    float values[positions][columns];
};

__device__ float element(std::byte const* data, bool is_f32, std::size_t index) {
    return is_f32 ? reinterpret_cast<float const*>(data)[index]
                  : to_float(reinterpret_cast<BFloat16 const*>(data)[index]);
}

/// A part of a matrix in global memory: rows and columns beyond it are zeros.
struct Part {
    std::byte const* data;
    bool is_f32;
    std::size_t first;  ///< element where it begins
    std::size_t stride;
    int rows, columns;
};

template <int Rows, int Columns, int Width>
__device__ void fill(float (&target)[Rows][Width], Part const& part) {
    for (int i = static_cast<int>(threadIdx.x); i < Rows * Columns; i += threads) {
        int const row = i / Columns;
        int const column = i % Columns;
        bool const inside = row < part.rows && column < part.columns;
        target[row][column] =
            inside ? element(part.data, part.is_f32,
                             part.first + static_cast<std::size_t>(row) * part.stride +
                                 static_cast<std::size_t>(column))
                   : 0.0F;
    }
}

/// The work of a block, and its steps.
struct Plain {
    PrefillCall const& call;
    QueryTile const& tile;
    Shared& shared;
    int head;
    int first_column;  ///< of the result

    __device__ int first_query() const { return static_cast<int>(threadIdx.x) / 32 * warp_queries; }

    __device__ Part cached(std::byte const* cache, int position, int column) const {
        int const kv_head = (call.first_query + head) / call.queries_per_kv;
        return {cache,
                call.kv_is_f32,
                (tile.cache_row + static_cast<std::size_t>(position)) * call.kv_stride +
                    static_cast<std::size_t>(kv_head * call.head_dim + column),
                call.kv_stride,
                tile.context - position,
                call.head_dim - column};
    }

    /// This lane's key, at `position` plus the lane, with each of the warp's queries.
    __device__ void score(int position, float (&scores)[warp_queries]) const {
        for (int column = 0; column < call.head_dim; column += depth) {
            __syncthreads();
            fill<plain_tile_tokens, depth>(
                shared.queries,
                {call.q, call.q_is_f32,
                 tile.row * call.q_stride + static_cast<std::size_t>(head * call.head_dim + column),
                 call.q_stride, tile.tokens, call.head_dim - column});
            fill<positions, depth>(shared.keys, cached(call.k, position, column));
            __syncthreads();
            for (int d = 0; d < depth; ++d) {
                float const key = shared.keys[threadIdx.x % 32][d];
                for (int i = 0; i < warp_queries; ++i) {
                    scores[i] = fmaf(shared.queries[first_query() + i][d], key, scores[i]);
                }
            }
        }
    }

    __device__ void store(float const (&result)[warp_queries][lane_columns],
                          float const (&sum)[warp_queries]) const {
        for (int i = 0; i < warp_queries; ++i) {
            int const token = first_query() + i;
            if (token >= tile.tokens) continue;
            std::size_t const start = (tile.row + static_cast<std::size_t>(token)) * call.y_stride +
                                      static_cast<std::size_t>(head * call.head_dim);
            for (int c = 0; c < lane_columns; ++c) {
                int const column = first_column + 32 * c + static_cast<int>(threadIdx.x % 32);
                if (column >= call.head_dim) continue;
                std::size_t const at = start + static_cast<std::size_t>(column);
                float const value = result[i][c] / sum[i];
                if (call.y_is_f32) {
                    reinterpret_cast<float*>(call.y)[at] = value;
                } else {
                    reinterpret_cast<BFloat16*>(call.y)[at] = store_float<BFloat16>(value);
                }
            }
        }
    }
};

__global__ void __launch_bounds__(threads) prefill_plain(PrefillCall call) {
    let_next_grid_start();
    wait_for_previous_grid();
    __shared__ Shared shared;
    QueryTile const tile = call.tiles[blockIdx.y];
    if (tile.tokens == 0) return;
    Plain const work{call, tile, shared, static_cast<int>(blockIdx.x),
                     static_cast<int>(blockIdx.z) * columns};
    int const lane = static_cast<int>(threadIdx.x % 32);
    KeyRange const seen = call.visibility.of_any(tile);

    float largest[warp_queries];
    float sum[warp_queries] = {};
    float result[warp_queries][lane_columns] = {};
    for (float& value : largest) value = -INFINITY;
    // From a multiple of 32 on: a query's terms are added in the same groups whatever the tile.
    for (int first = seen.begin / positions * positions; first < seen.end; first += positions) {
        float weights[warp_queries] = {};
        work.score(first, weights);
        fill<positions, columns>(shared.values, work.cached(call.v, first, work.first_column));
        for (int i = 0; i < warp_queries; ++i) {
            KeyRange const range =
                call.visibility.of(tile.first_position + work.first_query() + i, tile.context);
            bool const visible = first + lane >= range.begin && first + lane < range.end;
            float const score = visible ? weights[i] * call.scale : -INFINITY;
            float const most = fmaxf(largest[i], warp_max(score));
            float const shift = most == -INFINITY ? 0.0F : most;
            float const correction = expf(largest[i] - shift);
            largest[i] = most;
            weights[i] = expf(score - shift);
            sum[i] = sum[i] * correction + warp_sum(weights[i]);
            for (float& value : result[i]) value *= correction;
        }
        __syncthreads();
        for (int p = 0; p < positions; ++p) {
            for (int i = 0; i < warp_queries; ++i) {
                float const weight = __shfl_sync(full_warp, weights[i], p);
                for (int c = 0; c < lane_columns; ++c) {
                    result[i][c] = fmaf(weight, shared.values[p][32 * c + lane], result[i][c]);
                }
            }
        }
    }
    work.store(result, sum);
}

}  // namespace

void attention_prefill_plain(PrefillCall const& call, cudaStream_t stream) {
    launch_dependent(
        prefill_plain,
        LaunchShape{.grid = dim3(static_cast<unsigned>(call.query_heads), call.tile_count,
                                 static_cast<unsigned>((call.head_dim + columns - 1) / columns)),
                    .block = dim3(threads)},
        stream, call);
}

}  // namespace tesserank::kernels::cuda
