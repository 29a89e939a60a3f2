#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/skinny_gemm.hpp"

#include <cstdint>

/// y = x w^T for few rows of x, where reading w is all that takes time: what counts is that every
/// multiprocessor has enough loads under way all the time, from before the kernel "starts".
///
/// A block of 16 warps computes 16 rows of w, the height of a matrix instruction; w is its left
/// operand, so that up to 8 tokens (two instructions: 16) cost the same as one. The warps deal out
/// K in steps of 64 columns, 128 bytes of each row, and add up in a fixed order at the end: the
/// order of additions depends on K alone. With 8 loads of 16 bytes a thread has 2 steps under way,
/// a block 64 KiB, which is more than a multiprocessor's share of bandwidth times latency (4.8 TB/s
/// x 1 us / 132 = 36 KB). At 64 registers two blocks fit on a multiprocessor, or one and the first
/// of the next kernel.
///
/// What this means for the blocks on 132 multiprocessors (N x K: blocks, KiB for each):
///     2048 x 2048    128,   64   all of w is requested at once
///     3072 x 2048    192,   64   at once; where two blocks share a multiprocessor it draws twice
///                                its share, which its port (64 bytes a clock) allows three times
///     2048 x 8192    128,  256   one block each, 3 % of the multiprocessors idle, 64 KiB under way
///     16384 x 2048  1024,   64   264 at a time, 3.9 rounds that the scheduler evens out
///     128256 x 2048 8016,   64   30 rounds
///     4096 x 4096    256,  128   all resident
///     6144 x 4096    384,  128   264 and 120, enough to fill memory's queues in both rounds
///     28672 x 4096  1792,  128   6.8 rounds
///     4096 x 14336   256,  448   all resident
/// Below N = 2048, as on ranks that hold a part, multiprocessors stay idle: 512 x 2048 asks for its
/// 2 MiB at once all the same, from 32 of them.
///
/// x is read through L1, since no two warps of a block need the same columns.
namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned warps = 16;
constexpr unsigned rows_per_block = 16;
constexpr unsigned step = 64;        ///< columns
constexpr unsigned steps_ahead = 2;  ///< under way in each warp
constexpr unsigned tokens_per_tile = 8;

struct StreamArguments {
    BFloat16 const* x;
    BFloat16 const* w;
    std::size_t x_stride, w_stride, y_stride;
    unsigned tokens, rows, depth;
    ConstElements bias;
    Elements y;
};

/// A lane's part of a step, 8 columns of either half, of a row.
struct Piece {
    uint4 halves[2];
};

/// Of the columns from `column` on; zeros beyond `depth`, a multiple of 8.
__device__ __forceinline__ Piece load_weights(BFloat16 const* row, unsigned column,
                                              unsigned depth) {
    Piece piece{};
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
        unsigned const first = column + half * step / 2;
        if (first < depth) {
            piece.halves[half] = load_once(reinterpret_cast<uint4 const*>(row + first));
        }
    }
    return piece;
}

/// The same of x, which earlier kernels have written: an ordinary load, after the wait for them.
__device__ __forceinline__ Piece load_tokens(BFloat16 const* row, unsigned column, unsigned depth) {
    Piece piece{};
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
        unsigned const first = column + half * step / 2;
        if (first < depth) piece.halves[half] = *reinterpret_cast<uint4 const*>(row + first);
    }
    return piece;
}

/// Which column of w stands where in an instruction does not matter as long as x agrees: a lane's 8
/// neighbouring columns become the 2 + 2 of two instructions.
__device__ __forceinline__ void multiply(float (&sums)[4], Piece const& low, Piece const& high,
                                         Piece const& tokens) {
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
        uint4 const a = low.halves[half];
        uint4 const b = high.halves[half];
        uint4 const x = tokens.halves[half];
        multiply_m16n8k16(sums, {a.x, b.x, a.y, b.y}, {x.x, x.y});
        multiply_m16n8k16(sums, {a.z, b.z, a.w, b.w}, {x.z, x.w});
    }
}

/// What lies behind the first steps is asked for too, so that memory is busy while an earlier
/// kernel still runs: one line of 128 bytes for each thread.
__device__ __forceinline__ void prefetch_rest(StreamArguments const& arguments,
                                              unsigned first_row) {
    unsigned const row = first_row + threadIdx.x / 32;
    unsigned const column = (steps_ahead * warps + threadIdx.x % 32) * step;
    if (row < arguments.rows && column < arguments.depth) {
        prefetch_l2(arguments.w + row * arguments.w_stride + column);
    }
}

/// The row of a tile's results that follows another lies this far behind it: the lanes of a warp
/// then write to different banks.
constexpr unsigned token_pitch = rows_per_block + 4;

template <unsigned tiles>
__device__ __forceinline__ void finish(StreamArguments const& arguments, unsigned first_row,
                                       float const (&sums)[tiles][4]) {
    __shared__ float partial[warps][tiles * tokens_per_tile][token_pitch];
    unsigned const lane = threadIdx.x % 32;
    unsigned const warp = threadIdx.x / 32;
#pragma unroll
    for (unsigned tile = 0; tile < tiles; ++tile) {
        unsigned const token = tile * tokens_per_tile + lane % 4 * 2;
        partial[warp][token][lane / 4] = sums[tile][0];
        partial[warp][token + 1][lane / 4] = sums[tile][1];
        partial[warp][token][lane / 4 + 8] = sums[tile][2];
        partial[warp][token + 1][lane / 4 + 8] = sums[tile][3];
    }
    __syncthreads();
    unsigned const token = threadIdx.x / rows_per_block;
    unsigned const row = first_row + threadIdx.x % rows_per_block;
    if (token >= arguments.tokens || row >= arguments.rows) return;
    float sum = 0.0F;
#pragma unroll
    for (unsigned w = 0; w < warps; ++w) sum += partial[w][token][threadIdx.x % rows_per_block];
    if (arguments.bias.data != nullptr) sum += load_element(arguments.bias, row);
    store_element(arguments.y, token * arguments.y_stride + row, sum);
}

/// Rows and tokens beyond the last are computed from the last one again, and not stored.
template <unsigned tiles>
__global__ void __launch_bounds__(warps * 32, 2) stream_rows(StreamArguments arguments) {
    let_next_grid_start();
    unsigned const lane = threadIdx.x % 32;
    unsigned const warp = threadIdx.x / 32;
    unsigned const depth = arguments.depth;
    unsigned const lane_column = lane % 4 * 8;
    unsigned const first_row = blockIdx.x * rows_per_block;
    unsigned const last_row = arguments.rows - 1;
    BFloat16 const* const low =
        arguments.w + min(first_row + lane / 4, last_row) * arguments.w_stride;
    BFloat16 const* const high =
        arguments.w + min(first_row + lane / 4 + 8, last_row) * arguments.w_stride;
    BFloat16 const* x[tiles];
#pragma unroll
    for (unsigned tile = 0; tile < tiles; ++tile) {
        unsigned const token = min(tile * tokens_per_tile + lane / 4, arguments.tokens - 1);
        x[tile] = arguments.x + token * arguments.x_stride;
    }

    Piece weights[steps_ahead][2];
#pragma unroll
    for (unsigned slot = 0; slot < steps_ahead; ++slot) {
        unsigned const column = (warp + slot * warps) * step + lane_column;
        weights[slot][0] = load_weights(low, column, depth);
        weights[slot][1] = load_weights(high, column, depth);
    }
    prefetch_rest(arguments, first_row);
    wait_for_previous_grid();

    float sums[tiles][4] = {};
    // As many registers for the x of one tile in two steps as for that of two tiles in one.
    constexpr unsigned steps_of_x = steps_ahead / tiles;
    for (unsigned round = warp * step; round < depth; round += steps_ahead * warps * step) {
#pragma unroll
        for (unsigned first = 0; first < steps_ahead; first += steps_of_x) {
            Piece tokens[steps_of_x][tiles];
#pragma unroll
            for (unsigned s = 0; s < steps_of_x; ++s) {
#pragma unroll
                for (unsigned tile = 0; tile < tiles; ++tile) {
                    unsigned const column = round + (first + s) * warps * step + lane_column;
                    tokens[s][tile] = load_tokens(x[tile], column, depth);
                }
            }
#pragma unroll
            for (unsigned s = 0; s < steps_of_x; ++s) {
                Piece(&slot)[2] = weights[first + s];
#pragma unroll
                for (unsigned tile = 0; tile < tiles; ++tile) {
                    multiply(sums[tile], slot[0], slot[1], tokens[s][tile]);
                }
                unsigned const next =
                    round + (first + s + steps_ahead) * warps * step + lane_column;
                slot[0] = load_weights(low, next, depth);
                slot[1] = load_weights(high, next, depth);
            }
        }
    }
    finish<tiles>(arguments, first_row, sums);
}

}  // namespace

bool can_stream(Product const& product) {
    auto const& [x, w, bias, y] = product;
    return x.dtype == DType::bf16 && w.dtype == DType::bf16 && x.rows <= skinny_tokens &&
           x.cols > 0 && x.cols % 8 == 0 && rows_aligned(x) && rows_aligned(w);
}

void stream_gemm(Product const& product, cudaStream_t stream) {
    auto const& [x, w, bias, y] = product;
    StreamArguments const arguments{.x = x.row<BFloat16>(0),
                                    .w = w.row<BFloat16>(0),
                                    .x_stride = x.stride,
                                    .w_stride = w.stride,
                                    .y_stride = y.stride,
                                    .tokens = static_cast<unsigned>(x.rows),
                                    .rows = static_cast<unsigned>(w.rows),
                                    .depth = static_cast<unsigned>(x.cols),
                                    .bias = {bias.data, bias.dtype},
                                    .y = {y.data, y.dtype}};
    auto const blocks = static_cast<unsigned>((w.rows + rows_per_block - 1) / rows_per_block);
    LaunchShape const shape{.grid = dim3(blocks), .block = dim3(warps * 32)};
    auto* const kernel = x.rows <= tokens_per_tile ? stream_rows<1> : stream_rows<2>;
    launch_dependent(kernel, shape, stream, arguments);
}

}  // namespace tesserank::kernels::cuda
