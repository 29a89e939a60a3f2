#include "kernels/cuda/attention_panels.cuh"
#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/attention_softmax.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/error.hpp"

/// Flash attention with the tensor-core instruction of compute capability 8.0. A block takes 128
/// queries of one head, 16 to a warp, and passes over the keys and values they see, from the last
/// to the first, while the next tile of them is on its way to shared memory.
/// Source: Dao 2023, https://arxiv.org/abs/2307.08691
namespace tesserank::kernels::cuda {
namespace {

constexpr int warps = tensor_tile_tokens / 16;
constexpr int threads = warps * 32;

/// A key tile has `Positions` keys.
template <int HeadDim, int Positions>
struct MmaTiles {
    using Queries = Panels<tensor_tile_tokens, HeadDim>;
    using Keys = Panels<Positions, HeadDim>;
    static constexpr int steps = HeadDim / 16;
    /// Queries stay in registers unless the result fills these.
    static constexpr bool keep_queries = HeadDim <= 128;
    static constexpr int blocks_per_multiprocessor = HeadDim == 64 ? 2 : 1;
    static constexpr int shared_bytes = Queries::bytes + 4 * Keys::bytes;
};

/// Elements of one 8-column product within a row of them.
template <int Elements>
__device__ __forceinline__ float (&product_at(float (&all)[Elements], int index))[4] {
    return *reinterpret_cast<float(*)[4]>(&all[4 * index]);
}

/// Where a lane points for load_matrix_x4 of a 16x16 part: matrices 0 and 1 are its upper and lower
/// half, 2 and 3 those of the next 8 columns.
template <class Layout>
__device__ __forceinline__ std::byte const* down_first(std::byte const* tile, int row, int step) {
    int const lane = static_cast<int>(threadIdx.x % 32);
    return tile + Layout::chunk_offset(row + lane % 16, 2 * step + lane / 16);
}
/// The same with matrices 1 and 2 exchanged.
template <class Layout>
__device__ __forceinline__ std::byte const* right_first(std::byte const* tile, int row, int step) {
    int const lane = static_cast<int>(threadIdx.x % 32);
    return tile + Layout::chunk_offset(row + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2);
}

/// scores += a warp's 16 columns of q times those of all keys.
template <class Keys, int Elements>
__device__ __forceinline__ void add_scores(float (&scores)[Elements],
                                           std::uint32_t const (&queries)[4], std::byte const* keys,
                                           int step) {
#pragma unroll
    for (int n = 0; n < Elements / 8; ++n) {
        std::uint32_t pair[4];  // of 16 keys
        load_matrix_x4(pair, right_first<Keys>(keys, 16 * n, step));
        multiply_m16n8k16(product_at(scores, 2 * n), queries, {pair[0], pair[1]});
        multiply_m16n8k16(product_at(scores, 2 * n + 1), queries, {pair[2], pair[3]});
    }
}

/// result += weights times values.
template <class Keys, int Scores, int Elements>
__device__ __forceinline__ void add_values(float (&result)[Elements],
                                           float const (&weights)[Scores],
                                           std::byte const* values) {
#pragma unroll
    for (int step = 0; step < Scores / 8; ++step) {
        std::uint32_t operand[4];
        pack_weights(weights, step, operand);
#pragma unroll
        for (int n = 0; n < Elements / 8; ++n) {
            std::uint32_t pair[4];  // of 16 columns
            load_matrix_x4_transposed(pair, down_first<Keys>(values, 16 * step, n));
            multiply_m16n8k16(product_at(result, 2 * n), operand, {pair[0], pair[1]});
            multiply_m16n8k16(product_at(result, 2 * n + 1), operand, {pair[2], pair[3]});
        }
    }
}

template <int HeadDim, int Positions>
__global__ void __launch_bounds__(threads, MmaTiles<HeadDim, Positions>::blocks_per_multiprocessor)
    prefill_mma(PrefillCall call) {
    using Tiles = MmaTiles<HeadDim, Positions>;
    using Keys = typename Tiles::Keys;
    constexpr int positions = Positions;
    let_next_grid_start();
    wait_for_previous_grid();
    QueryTile const tile = call.tiles[blockIdx.y];
    if (tile.tokens == 0) return;
    auto const head = static_cast<int>(blockIdx.x);
    auto const thread = static_cast<int>(threadIdx.x);
    int const first_token = thread / 32 * 16;  // of this warp
    std::byte* const queries = dynamic_shared();
    std::byte* const cached = queries + Tiles::Queries::bytes;

    KeyRange const seen = call.visibility.of_any(tile);
    int const last = (seen.end - 1) / positions;
    int const first = seen.begin / positions;
    auto const start_loading = [&](int index) {
        std::byte* const to = cached + index % 2 * 2 * Keys::bytes;
        load_panels<Keys, threads>(to, positions_of(call, call.k, tile, head, index * positions),
                                   thread);
        load_panels<Keys, threads>(
            to + Keys::bytes, positions_of(call, call.v, tile, head, index * positions), thread);
        commit_copies();
    };
    load_panels<typename Tiles::Queries, threads>(queries, queries_of(call, tile, head), thread);
    start_loading(last);
    wait_for_copies<0>();
    __syncthreads();

    auto const load_queries = [&](std::uint32_t(&fragment)[4], int step) {
        load_matrix_x4(fragment, down_first<typename Tiles::Queries>(queries, first_token, step));
    };
    std::uint32_t kept[Tiles::keep_queries ? Tiles::steps : 1][4];
    if constexpr (Tiles::keep_queries) {
#pragma unroll
        for (int step = 0; step < Tiles::steps; ++step) load_queries(kept[step], step);
    }

    float const exponent_scale = call.scale * log2_of_e;
    int const token = first_token + thread % 32 / 4;
    int const position = tile.first_position + token;
    KeyRange const ranges[2] = {call.visibility.of(position, tile.context),
                                call.visibility.of(position + 8, tile.context)};
    RunningSoftmax softmax;
    float result[HeadDim / 2] = {};
    for (int index = last; index >= first; --index) {
        if (index > first) start_loading(index - 1);
        std::byte const* const keys = cached + index % 2 * 2 * Keys::bytes;
        float scores[positions / 2] = {};
#pragma unroll
        for (int step = 0; step < Tiles::steps; ++step) {
            if constexpr (Tiles::keep_queries) {
                add_scores<Keys>(scores, kept[step], keys, step);
            } else {
                load_queries(kept[0], step);
                add_scores<Keys>(scores, kept[0], keys, step);
            }
        }
        if (!call.visibility.all_see(tile.first_position + first_token, 16, tile.context,
                                     {index * positions, (index + 1) * positions})) {
            hide(scores, ranges, index * positions);
        }
        float correction[2];
        softmax.weigh(scores, exponent_scale, correction);
        multiply_rows(result, correction);
        add_values<Keys>(result, scores, keys + Keys::bytes);
        // All have read this tile, and all have what they copied of the next one.
        wait_for_copies<0>();
        __syncthreads();
    }
    float const normalisers[2] = {softmax.normaliser(0), softmax.normaliser(1)};
    multiply_rows(result, normalisers);
    store_result<HeadDim>(call, tile, token, static_cast<std::size_t>(head * HeadDim), result);
}

template <int HeadDim, int Positions>
void launch_mma(PrefillCall const& call, cudaStream_t stream) {
    launch_dependent(
        prefill_mma<HeadDim, Positions>,
        LaunchShape{.grid = dim3(static_cast<unsigned>(call.query_heads), call.tile_count),
                    .block = dim3(threads),
                    .shared_bytes = MmaTiles<HeadDim, Positions>::shared_bytes},
        stream, call);
}

}  // namespace

void attention_prefill_mma(PrefillCall const& call, std::size_t shared_bytes, cudaStream_t stream) {
    constexpr std::size_t least = std::size_t{99} * 1024;  // of all GPUs from 8.0 on
    static_assert(MmaTiles<128, 64>::shared_bytes <= least);
    static_assert(MmaTiles<256, 16>::shared_bytes <= least);
    switch (call.head_dim) {
        case 64:
            return launch_mma<64, 64>(call, stream);
        case 80:
            return launch_mma<80, 64>(call, stream);
        case 96:
            return launch_mma<96, 64>(call, stream);
        case 128:
            return launch_mma<128, 64>(call, stream);
        default:
            return shared_bytes >= MmaTiles<256, 32>::shared_bytes
                       ? launch_mma<256, 32>(call, stream)
                       : launch_mma<256, 16>(call, stream);
    }
}

}  // namespace tesserank::kernels::cuda
