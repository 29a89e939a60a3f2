/// Decode attention for bf16 on tensor cores, bound by memory: all keys and values that a token
/// sees are read once, for the query heads of a group together.
///
/// A block has four warps, which take turns of 16 positions each and do not wait for each other
/// until the end: a warp copies its own tiles of keys and values to its own ring in shared memory
/// (cp.async), so that waiting for a copy needs a __syncwarp only.
///
/// The queries of a group are the 16 rows of the multiplication m16n8k16; a smaller group leaves
/// rows unused. That is why one kernel serves all groups, single queries too: at 128 columns the
/// keys and values of 16 positions, 8 KiB, take 32 multiplications, by data sheet about 50 cycles
/// of an H100 multiprocessor, whose share of the memory's rate brings them in 500.
/// A group of more has a block for each 16, which read the same keys and values: next to each
/// other in the grid, so that all but the first find most of them in L2.
///
/// By calculation, at 128 columns on an H100: 162 registers (254 at 256 columns, none spilled) and
/// 85 KiB of shared memory leave room for two blocks. 2 blocks * 4 warps * 4 tiles of 4 KiB =
/// 128 KiB are in flight, where 3.3 TB/s over 132 multiprocessors and a latency of 1 us ask for
/// 25 KiB. At batch 64, 8 kv heads of 4 queries and 8192 positions, 2.1 GB of keys and values are
/// read in 5 splits, whose parts add 5 MB written and read.
///
/// Rows in shared memory are padded by 16 bytes: the eight rows that ldmatrix reads at a time then
/// lie in different banks for every head_dim that is a multiple of 16.
#include "kernels/cuda/attention_decode.hpp"
#include "kernels/cuda/decode_merge.cuh"
#include "kernels/cuda/decode_tiles.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/mma.cuh"

#include <numbers>

namespace tesserank::kernels::cuda {
namespace {

/// The queries as the left matrices of the multiplication; rows beyond the group are 0.
template <unsigned D>
__device__ void load_queries(std::uint32_t (&queries)[D / 16][4], DecodeWork const& work,
                             DecodeJob const& job, unsigned lane) {
    std::byte const* const first =
        work.q.data + (job.row * work.q.stride + job.heads.first * D) * sizeof(BFloat16);
#pragma unroll
    for (unsigned step = 0; step < D / 16; ++step) {
#pragma unroll
        for (unsigned i = 0; i < 4; ++i) {
            unsigned const row = lane / 4 + i % 2 * 8;
            unsigned const col = step * 16 + lane % 4 * 2 + i / 2 * 8;
            queries[step][i] = row < job.heads.count
                                   ? *reinterpret_cast<std::uint32_t const*>(
                                         first + (row * D + col) * sizeof(BFloat16))
                                   : 0;
        }
    }
}

/// The state of a warp: rows lane / 4 and lane / 4 + 8, columns as the multiplication leaves them.
template <unsigned D>
struct Mix {
    float largest[2] = {lowest_score, lowest_score};
    float sum[2] = {};  ///< of this lane's columns only
    float columns[D / 8][4] = {};
};

/// scores += queries keys^T: columns 0 to 7 and 8 to 15 of the tile's positions.
template <unsigned D>
__device__ void multiply_keys(float (&scores)[2][4], std::uint32_t const (&queries)[D / 16][4],
                              std::byte const* keys, unsigned lane) {
    unsigned const position = lane % 8 + lane / 16 * 8;
    std::byte const* const row = keys + position * DecodeLayout<D>::row_bytes + lane / 8 % 2 * 16;
#pragma unroll
    for (unsigned step = 0; step < D / 16; ++step) {
        std::uint32_t key[4];
        load_matrix_x4(key, row + step * 32);
        multiply_m16n8k16(scores[0], queries[step], {key[0], key[1]});
        multiply_m16n8k16(scores[1], queries[step], {key[2], key[3]});
    }
}

/// Turns scores into weights relative to the largest score so far, rounded to bf16 as the left
/// matrix of the next multiplication. The sum is that of the rounded weights, so that they sum
/// to 1.
template <unsigned D>
__device__ void weigh(std::uint32_t (&weights)[4], float const (&scores)[2][4], Mix<D>& mix) {
    float largest[2];
#pragma unroll
    for (unsigned r = 0; r < 2; ++r) {
        float const left = fmaxf(scores[0][2 * r], scores[0][2 * r + 1]);
        float const right = fmaxf(scores[1][2 * r], scores[1][2 * r + 1]);
        float most = fmaxf(left, right);
        most = fmaxf(most, __shfl_xor_sync(full_warp, most, 1));
        most = fmaxf(most, __shfl_xor_sync(full_warp, most, 2));
        largest[r] = fmaxf(mix.largest[r], most);
    }
    if (__any_sync(full_warp, largest[0] > mix.largest[0] || largest[1] > mix.largest[1])) {
#pragma unroll
        for (unsigned r = 0; r < 2; ++r) {
            float const shrink = exp2f(mix.largest[r] - largest[r]);
            mix.largest[r] = largest[r];
            mix.sum[r] *= shrink;
#pragma unroll
            for (auto& columns : mix.columns) {
                columns[2 * r] *= shrink;
                columns[2 * r + 1] *= shrink;
            }
        }
    }
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
        unsigned const r = i % 2;
        weights[i] = pack_bf16(exp2f(scores[i / 2][2 * r] - mix.largest[r]),
                               exp2f(scores[i / 2][2 * r + 1] - mix.largest[r]));
        float2 const rounded = unpack_bf16(weights[i]);
        mix.sum[r] += rounded.x + rounded.y;
    }
}

template <unsigned D>
__device__ void multiply_values(Mix<D>& mix, std::uint32_t const (&weights)[4],
                                std::byte const* values, unsigned lane) {
    std::byte const* const row = values + lane % 16 * DecodeLayout<D>::row_bytes + lane / 16 * 16;
#pragma unroll
    for (unsigned step = 0; step < D / 16; ++step) {
        std::uint32_t value[4];
        load_matrix_x4_transposed(value, row + step * 32);
        multiply_m16n8k16(mix.columns[2 * step], weights, {value[0], value[1]});
        multiply_m16n8k16(mix.columns[2 * step + 1], weights, {value[2], value[3]});
    }
}

/// Scales scores to powers of 2 and hides positions from `visible` of the tile on.
__device__ void scale_and_hide(float (&scores)[2][4], float scale, unsigned visible,
                               unsigned lane) {
#pragma unroll
    for (unsigned i = 0; i < 8; ++i) {
        float& score = scores[i / 4][i % 4];
        unsigned const position = i / 4 * 8 + lane % 4 * 2 + i % 2;
        score = position < visible ? score * scale : lowest_score;
    }
}

template <unsigned D>
__device__ Partials warp_partials() {
    return {.mix = reinterpret_cast<float*>(dynamic_shared()),
            .norms = reinterpret_cast<float2*>(dynamic_shared() + DecodeLayout<D>::mix_bytes),
            .rows = tensor_core_tile_rows,
            .row_stride = DecodeLayout<D>::mix_stride};
}

template <unsigned D>
__device__ void write_warp_partial(Mix<D> const& mix, unsigned warp, unsigned lane) {
    Partials const partials = warp_partials<D>();
#pragma unroll
    for (unsigned r = 0; r < 2; ++r) {
        float sum = mix.sum[r];
        sum += __shfl_xor_sync(full_warp, sum, 1);
        sum += __shfl_xor_sync(full_warp, sum, 2);
        unsigned const row = warp * tensor_core_tile_rows + lane / 4 + r * 8;
        if (lane % 4 == 0) partials.norms[row] = {mix.largest[r], sum};
        float* const to = partials.mix + row * DecodeLayout<D>::mix_stride + lane % 4 * 2;
#pragma unroll
        for (unsigned i = 0; i < D / 8; ++i) {
            *reinterpret_cast<float2*>(to + i * 8) = {mix.columns[i][2 * r],
                                                      mix.columns[i][2 * r + 1]};
        }
    }
}

template <unsigned D>
__global__ void __launch_bounds__(decode_warps * 32, tensor_core_blocks) decode(DecodeWork work) {
    let_next_grid_start();
    DecodeJob job = job_of(work, blockIdx.x);
    wait_for_previous_grid();
    find_part(job, work);
    if (job.part.count() == 0) return;
    unsigned const lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    DecodeTiles<D> tiles(work, job, warp);
    std::uint32_t queries[D / 16][4];
    load_queries<D>(queries, work, job, lane);
    float const scale = work.shape.scale * std::numbers::log2e_v<float>;
    Mix<D> mix;
    for (std::uint32_t position = job.part.begin + warp * decode_tile_positions;
         position < job.part.end; position += positions_per_turn) {
        float scores[2][4] = {};
        multiply_keys<D>(scores, queries, tiles.next(), lane);
        scale_and_hide(scores, scale, job.part.end - position, lane);
        std::uint32_t weights[4];
        weigh<D>(weights, scores, mix);
        multiply_values<D>(mix, weights, tiles.next(), lane);
    }

    wait_for_copies<0>();
    __syncthreads();
    write_warp_partial<D>(mix, warp, lane);
    __syncthreads();
    finish_block<4>(work, job,
                    {.from = warp_partials<D>(),
                     .first = 0,
                     .count = decode_warps,
                     .rows = job.heads.count,
                     .cols = D});
}

/// Calls visitor.operator()<D>() for the head_dims that there is a kernel for; false for others.
template <class Visitor>
bool visit_head_dim(std::size_t head_dim, Visitor const& visitor) {
    switch (head_dim) {
        case 64:
            visitor.template operator()<64>();
            return true;
        case 80:
            visitor.template operator()<80>();
            return true;
        case 96:
            visitor.template operator()<96>();
            return true;
        case 128:
            visitor.template operator()<128>();
            return true;
        case 256:
            visitor.template operator()<256>();
            return true;
        default:
            return false;
    }
}

}  // namespace

bool fits_tensor_cores(DecodeWork const& work) {
    return work.q.dtype == DType::bf16 && work.k.dtype == DType::bf16 && rows_aligned(work.q) &&
           rows_aligned(work.k) && rows_aligned(work.v) && rows_aligned(work.y) &&
           tensor_core_shared_bytes(work.shape.head_dim) > 0;
}

std::size_t tensor_core_shared_bytes(std::size_t head_dim) {
    std::size_t bytes = 0;
    visit_head_dim(head_dim, [&]<unsigned D>() { bytes = DecodeLayout<D>::shared_bytes; });
    return bytes;
}

void launch_tensor_core_decode(DecodeWork const& work, cudaStream_t stream) {
    visit_head_dim(work.shape.head_dim, [&]<unsigned D>() {
        LaunchShape const shape{.grid = dim3(static_cast<unsigned>(work.blocks())),
                                .block = dim3(decode_warps * 32),
                                .shared_bytes = DecodeLayout<D>::shared_bytes};
        launch_dependent(decode<D>, shape, stream, work);
    });
}

}  // namespace tesserank::kernels::cuda
