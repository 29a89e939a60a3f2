#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/skinny_gemm.hpp"

#include <algorithm>
#include <cstdint>

/// y = x w^T for few rows of x, where reading w is all that takes time: what counts is that every
/// multiprocessor has enough loads under way all the time, from before the kernel "starts".
///
/// A block of 8 warps computes 16 rows of w, the height of a matrix instruction; w is its left
/// operand, so that up to 8 tokens (two instructions: 16) cost the same as one. The warps deal out
/// K in steps of 64 columns, and add up in a fixed order at the end: the order of additions depends
/// on K alone. With 16 loads of 16 bytes a thread has 4 steps of bf16 under way, or 8 of fp8, a
/// block 64 KiB, which is more than a multiprocessor's share of bandwidth times latency (4.8 TB/s x
/// 1 us / 132 = 36 KB). At 128 registers two blocks fit on a multiprocessor, or one and the first
/// of the next kernel; twice the warps with half the registers could not hold two tiles of rows.
///
/// Behind L2, x costs tokens / 16 of what w costs, where it does not fit into L1: beyond 4 tokens a
/// block computes 32 rows where there are enough of them, two tiles that share what is read of x.
/// It then looks half as many steps ahead, so that the bytes under way are the same.
///
/// What 16 rows a block mean for bf16 on 132 multiprocessors (N x K: blocks, KiB for each):
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

constexpr unsigned warps = 8;
constexpr unsigned blocks_together = 2;  ///< on a multiprocessor
constexpr unsigned rows_per_tile = 16;
constexpr unsigned step = 64;  ///< columns
constexpr unsigned tokens_per_tile = 8;

struct StreamArguments {
    BFloat16 const* x;
    void const* w;
    std::size_t x_stride, w_stride, y_stride;
    unsigned tokens, rows, depth;
    unsigned first_wave;  ///< blocks that can start together
    float const* scales;
    ConstElements bias;
    Elements y;
};

/// How a step of a row is dealt out to the 4 lanes that share it, each 16 columns. Which column
/// stands where in an instruction does not matter as long as x and w agree.
template <class W>
struct Deal;
/// 8 columns of either half, so that the lanes read 64 bytes together.
template <>
struct Deal<BFloat16> {
    static constexpr unsigned lane_columns = 8, next_columns = step / 2;
    static constexpr unsigned tiles_ahead = 4;
    static constexpr unsigned loads = 2;
};
template <>
struct Deal<Float8> {
    static constexpr unsigned lane_columns = 16, next_columns = 8;
    static constexpr unsigned tiles_ahead = 8;
    static constexpr unsigned loads = 1;
};

/// A lane's part of a step of a row of w.
template <class W>
struct Weights {
    uint4 vectors[Deal<W>::loads];
};
/// And of x.
struct Tokens {
    uint4 vectors[2];
};

/// `from` is the element of `column`; zeros from `depth` on, a multiple of a vector's elements.
template <class W>
__device__ __forceinline__ Weights<W> load_weights(W const* from, unsigned column, unsigned depth) {
    Weights<W> weights{};
#pragma unroll
    for (unsigned i = 0; i < Deal<W>::loads; ++i) {
        constexpr unsigned distance = Deal<W>::next_columns;
        if (column + i * distance < depth) {
            weights.vectors[i] = load_once(reinterpret_cast<uint4 const*>(from + i * distance));
        }
    }
    return weights;
}

/// x is what earlier kernels have written: an ordinary load, after the wait for them.
template <class W>
__device__ __forceinline__ Tokens load_tokens(BFloat16 const* from, unsigned column,
                                              unsigned depth) {
    Tokens tokens{};
#pragma unroll
    for (unsigned i = 0; i < 2; ++i) {
        constexpr unsigned distance = Deal<W>::next_columns;
        if (column + i * distance < depth) {
            tokens.vectors[i] = *reinterpret_cast<uint4 const*>(from + i * distance);
        }
    }
    return tokens;
}

/// A lane's 4 neighbouring columns become the 2 + 2 of one instruction.
__device__ __forceinline__ void multiply(float (&sums)[4], Weights<BFloat16> const& low,
                                         Weights<BFloat16> const& high, Tokens const& tokens) {
#pragma unroll
    for (unsigned i = 0; i < 2; ++i) {
        uint4 const a = low.vectors[i];
        uint4 const b = high.vectors[i];
        uint4 const x = tokens.vectors[i];
        multiply_m16n8k16(sums, {a.x, b.x, a.y, b.y}, {x.x, x.y});
        multiply_m16n8k16(sums, {a.z, b.z, a.w, b.w}, {x.z, x.w});
    }
}

__device__ __forceinline__ void multiply_word(float (&sums)[4], std::uint32_t low,
                                              std::uint32_t high, std::uint32_t x,
                                              std::uint32_t next_x) {
    multiply_m16n8k16(sums,
                      {widen_f8<0>(low), widen_f8<0>(high), widen_f8<2>(low), widen_f8<2>(high)},
                      {x, next_x});
}

__device__ __forceinline__ void multiply(float (&sums)[4], Weights<Float8> const& low,
                                         Weights<Float8> const& high, Tokens const& tokens) {
    uint4 const a = low.vectors[0];
    uint4 const b = high.vectors[0];
    uint4 const x = tokens.vectors[0];
    uint4 const y = tokens.vectors[1];
    multiply_word(sums, a.x, b.x, x.x, x.y);
    multiply_word(sums, a.y, b.y, x.z, x.w);
    multiply_word(sums, a.z, b.z, y.x, y.y);
    multiply_word(sums, a.w, b.w, y.z, y.w);
}

/// What a block computes, and how far it looks ahead.
template <class W, unsigned row_tiles>
struct Block {
    static constexpr unsigned rows = row_tiles * rows_per_tile;
    static constexpr unsigned steps_ahead = Deal<W>::tiles_ahead / row_tiles;
};

/// What lies behind the first steps is asked for too, so that memory is busy while an earlier
/// kernel still runs: two lines of 128 bytes for each thread.
template <class W, unsigned row_tiles>
__device__ __forceinline__ void prefetch_rest(StreamArguments const& arguments,
                                              unsigned first_row) {
    constexpr unsigned line = 128 / sizeof(W);
    constexpr unsigned lines = 2 * warps * 32 / Block<W, row_tiles>::rows;  // of each row
#pragma unroll
    for (unsigned i = threadIdx.x; i < 2 * warps * 32; i += warps * 32) {
        unsigned const row = first_row + i / lines;
        unsigned const column = Block<W, row_tiles>::steps_ahead * warps * step + i % lines * line;
        if (row < arguments.rows && column < arguments.depth) {
            prefetch_l2(static_cast<W const*>(arguments.w) + row * arguments.w_stride + column);
        }
    }
}

/// What becomes of a row's sums at the end.
struct RowEnd {
    float scale, bias;
};

/// Loaded with the weights: at the end of a block nothing would be left to do meanwhile.
template <unsigned rows>
__device__ __forceinline__ void load_ends(StreamArguments const& arguments, unsigned first_row,
                                          RowEnd (&ends)[rows]) {
    constexpr unsigned first_thread = warps * 32 - rows;  // the last warp has the fewest steps
    if (threadIdx.x < first_thread) return;
    unsigned const i = threadIdx.x - first_thread;
    unsigned const row = min(first_row + i, arguments.rows - 1);
    ends[i] = {arguments.scales == nullptr ? 1.0F : arguments.scales[row],
               arguments.bias.data == nullptr ? 0.0F : load_element(arguments.bias, row)};
}

template <unsigned row_tiles, unsigned token_tiles>
__device__ __forceinline__ void finish(StreamArguments const& arguments, unsigned first_row,
                                       float const (&sums)[row_tiles][token_tiles][4],
                                       RowEnd const (&ends)[row_tiles * rows_per_tile]) {
    constexpr unsigned rows = row_tiles * rows_per_tile;
    // A token's results lie so far behind another's that a warp's lanes write to different banks.
    __shared__ float partial[warps][token_tiles * tokens_per_tile][rows + 4];
    unsigned const lane = threadIdx.x % 32;
    unsigned const warp = threadIdx.x / 32;
#pragma unroll
    for (unsigned r = 0; r < row_tiles; ++r) {
#pragma unroll
        for (unsigned t = 0; t < token_tiles; ++t) {
            unsigned const row = r * rows_per_tile + lane / 4;
            unsigned const token = t * tokens_per_tile + lane % 4 * 2;
            partial[warp][token][row] = sums[r][t][0];
            partial[warp][token + 1][row] = sums[r][t][1];
            partial[warp][token][row + 8] = sums[r][t][2];
            partial[warp][token + 1][row + 8] = sums[r][t][3];
        }
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < arguments.tokens * rows; i += warps * 32) {
        unsigned const token = i / rows;
        unsigned const row = i % rows;
        if (first_row + row >= arguments.rows) continue;
        float sum = 0.0F;
#pragma unroll
        for (unsigned w = 0; w < warps; ++w) sum += partial[w][token][row];
        store_element(arguments.y, token * arguments.y_stride + first_row + row,
                      fmaf(sum, ends[row].scale, ends[row].bias));
    }
}

/// One step of a lane's rows, which are 8 rows apart; zeros behind the last of them.
template <class W, unsigned row_tiles>
struct StepRows {
    Weights<W> halves[2 * row_tiles];

    __device__ __forceinline__ void load(W const* first, std::size_t stride, unsigned rows_left,
                                         unsigned column, unsigned depth) {
#pragma unroll
        for (unsigned h = 0; h < 2 * row_tiles; ++h) {
            halves[h] = load_weights(first + h * 8 * stride, column, h * 8 < rows_left ? depth : 0);
        }
    }
};

/// Tokens beyond the last are computed from the last one again; neither they nor rows beyond the
/// last are stored.
template <class W, unsigned row_tiles, unsigned token_tiles>
__global__ void __launch_bounds__(warps * 32, blocks_together)
    stream_rows(StreamArguments arguments) {
    let_next_grid_start();
    constexpr unsigned steps_ahead = Block<W, row_tiles>::steps_ahead;
    constexpr unsigned step_distance = warps * step;
    unsigned const lane = threadIdx.x % 32;
    unsigned const depth = arguments.depth;
    unsigned const first_row = blockIdx.x * Block<W, row_tiles>::rows;
    unsigned const row = first_row + lane / 4;
    unsigned const rows_left = row < arguments.rows ? arguments.rows - row : 0;
    unsigned column = threadIdx.x / 32 * step + lane % 4 * Deal<W>::lane_columns;
    W const* w = static_cast<W const*>(arguments.w) + row * arguments.w_stride + column;
    StepRows<W, row_tiles> weights[steps_ahead];
#pragma unroll
    for (unsigned s = 0; s < steps_ahead; ++s) {
        weights[s].load(w + s * step_distance, arguments.w_stride, rows_left,
                        column + s * step_distance, depth);
    }
    if (blockIdx.x < arguments.first_wave) prefetch_rest<W, row_tiles>(arguments, first_row);
    __shared__ RowEnd ends[Block<W, row_tiles>::rows];
    load_ends(arguments, first_row, ends);
    wait_for_previous_grid();

    BFloat16 const* x[token_tiles];
#pragma unroll
    for (unsigned t = 0; t < token_tiles; ++t) {
        unsigned const token = min(t * tokens_per_tile + lane / 4, arguments.tokens - 1);
        x[t] = arguments.x + token * arguments.x_stride + column;
    }
    float sums[row_tiles][token_tiles][4] = {};
    // Parts of x that are asked for together: as many as there are registers for.
    constexpr unsigned parts = 2;
    while (column / step * step < depth) {  // the warp's step, so that its lanes stay together
        w += steps_ahead * step_distance;
#pragma unroll
        for (unsigned first = 0; first < steps_ahead * token_tiles; first += parts) {
            Tokens tokens[parts];
#pragma unroll
            for (unsigned i = 0; i < parts; ++i) {
                unsigned const offset = (first + i) / token_tiles * step_distance;
                tokens[i] =
                    load_tokens<W>(x[(first + i) % token_tiles] + offset, column + offset, depth);
            }
#pragma unroll
            for (unsigned i = 0; i < parts; ++i) {
                unsigned const s = (first + i) / token_tiles;
                unsigned const t = (first + i) % token_tiles;
#pragma unroll
                for (unsigned r = 0; r < row_tiles; ++r) {
                    multiply(sums[r][t], weights[s].halves[2 * r], weights[s].halves[2 * r + 1],
                             tokens[i]);
                }
                if (t + 1 < token_tiles) continue;
                weights[s].load(w + s * step_distance, arguments.w_stride, rows_left,
                                column + (s + steps_ahead) * step_distance, depth);
            }
        }
        column += steps_ahead * step_distance;
#pragma unroll
        for (unsigned t = 0; t < token_tiles; ++t) x[t] += steps_ahead * step_distance;
    }
    finish(arguments, first_row, sums, ends);
}

template <class W, unsigned row_tiles>
void launch_rows(StreamArguments const& arguments, cudaStream_t stream) {
    constexpr unsigned rows = Block<W, row_tiles>::rows;
    LaunchShape const shape{.grid = dim3((arguments.rows + rows - 1) / rows),
                            .block = dim3(warps * 32)};
    auto* const kernel = arguments.tokens <= tokens_per_tile ? stream_rows<W, row_tiles, 1>
                                                             : stream_rows<W, row_tiles, 2>;
    launch_dependent(kernel, shape, stream, arguments);
}

/// Two tiles of rows share what is read of x, unless many multiprocessors would be without a block.
template <class W>
void launch_stream(StreamArguments const& arguments, unsigned multiprocessors,
                   cudaStream_t stream) {
    constexpr unsigned few_tokens = 4;
    unsigned const blocks = arguments.rows / Block<W, 2>::rows;
    if (arguments.tokens > few_tokens && blocks * 4 >= multiprocessors * 3) {
        launch_rows<W, 2>(arguments, stream);
    } else {
        launch_rows<W, 1>(arguments, stream);
    }
}

}  // namespace

bool can_stream(Product const& product) {
    auto const& x = product.x;
    auto const& w = product.w;
    if (x.dtype != DType::bf16 || (w.dtype != DType::bf16 && w.dtype != DType::f8e4m3))
        return false;
    return x.rows <= skinny_tokens && x.cols > 0 && x.cols * size_of(w.dtype) % 16 == 0 &&
           rows_aligned(x) && rows_aligned(w);
}

void stream_gemm(Product const& product, unsigned multiprocessors, cudaStream_t stream) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    StreamArguments const arguments{.x = x.row<BFloat16>(0),
                                    .w = w.data,
                                    .x_stride = x.stride,
                                    .w_stride = w.stride,
                                    .y_stride = y.stride,
                                    .tokens = static_cast<unsigned>(x.rows),
                                    .rows = static_cast<unsigned>(w.rows),
                                    .depth = static_cast<unsigned>(x.cols),
                                    .first_wave = blocks_together * multiprocessors,
                                    .scales = reinterpret_cast<float const*>(w_scales.data),
                                    .bias = {bias.data, bias.dtype},
                                    .y = {y.data, y.dtype}};
    if (w.dtype == DType::f8e4m3) {
        launch_stream<Float8>(arguments, multiprocessors, stream);
    } else {
        launch_stream<BFloat16>(arguments, multiprocessors, stream);
    }
}

}  // namespace tesserank::kernels::cuda
