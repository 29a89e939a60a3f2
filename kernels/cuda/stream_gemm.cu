#include "kernels/cuda/activate.cuh"
#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/skinny_gemm.hpp"
#include "kernels/cuda/stream_steps.cuh"

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
/// Where w holds gate and up, one half of its rows each, a block computes 16 rows of either, and
/// act(gate) * up of what it would have stored: a kernel less in each layer of a decode step, which
/// would take longer to start and end than to run. 16384 x 2048 is then 512 blocks of 128 KiB, and
/// 28672 x 4096 is 896 of 256, the last 104 of them one on a multiprocessor.
///
/// x is read through L1, since no two warps of a block need the same columns.
namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned warps = 8;
constexpr unsigned blocks_together = 2;  ///< on a multiprocessor
constexpr unsigned rows_per_tile = 16;
constexpr unsigned tokens_per_tile = 8;

struct StreamArguments {
    BFloat16 const* x;
    void const* w;
    std::size_t x_stride, w_stride, y_stride;
    unsigned tokens, rows, depth;  ///< rows of w, or of one half of it: columns of y
    unsigned first_wave;           ///< blocks that can start together
    float const* scales;
    ConstElements bias;
    Elements y;
    GateEnd gate;  ///< where the halves of w are gate and up
};

/// Which rows of w a block computes.
enum class Tiles : std::uint8_t {
    one,
    two,         ///< that follow each other
    gate_and_up  ///< one of w's first half, and the one that stands for it in the second
};

/// What a block computes, and how far it looks ahead.
template <class W, Tiles tiles>
struct Block {
    static constexpr unsigned row_tiles = tiles == Tiles::one ? 1 : 2;
    static constexpr unsigned rows = row_tiles * rows_per_tile;
    static constexpr unsigned columns = tiles == Tiles::gate_and_up ? rows_per_tile : rows;  // of y
    static constexpr unsigned steps_ahead = StepDeal<W>::tiles_ahead / row_tiles;
};

/// The column of y that a row of a block is for, and how far behind it that row of w stands.
struct Place {
    unsigned column, shift;
};

template <Tiles tiles>
__device__ __forceinline__ Place place_of(StreamArguments const& arguments, unsigned first_column,
                                          unsigned row) {
    if constexpr (tiles != Tiles::gate_and_up) return {first_column + row, 0};
    return {first_column + row % rows_per_tile, row < rows_per_tile ? 0 : arguments.rows};
}

/// What lies behind the first steps is asked for too, so that memory is busy while an earlier
/// kernel still runs: two lines of 128 bytes for each thread.
template <class W, Tiles tiles>
__device__ __forceinline__ void prefetch_rest(StreamArguments const& arguments,
                                              unsigned first_column) {
    constexpr unsigned line = 128 / sizeof(W);
    constexpr unsigned lines = 2 * warps * 32 / Block<W, tiles>::rows;  // of each row
#pragma unroll
    for (unsigned i = threadIdx.x; i < 2 * warps * 32; i += warps * 32) {
        auto const [of_y, shift] = place_of<tiles>(arguments, first_column, i / lines);
        unsigned const column =
            Block<W, tiles>::steps_ahead * warps * step_columns + i % lines * line;
        if (of_y < arguments.rows && column < arguments.depth) {
            prefetch_l2(static_cast<W const*>(arguments.w) + (of_y + shift) * arguments.w_stride +
                        column);
        }
    }
}

/// What becomes of a row's sums at the end.
struct RowEnd {
    float scale, bias;
};

/// act(gate) * up of what a product stores of them: rounded as it would be.
__device__ __forceinline__ float gated(GateEnd end, float gate, float up) {
    return activate(end.kind, as_stored(end.between, gate)) * as_stored(end.between, up);
}

/// Loaded with the weights: at the end of a block nothing would be left to do meanwhile.
template <Tiles tiles, unsigned rows>
__device__ __forceinline__ void load_ends(StreamArguments const& arguments, unsigned first_column,
                                          RowEnd (&ends)[rows]) {
    constexpr unsigned first_thread = warps * 32 - rows;  // the last warp has the fewest steps
    if (threadIdx.x < first_thread) return;
    unsigned const i = threadIdx.x - first_thread;
    auto const [column, shift] = place_of<tiles>(arguments, first_column, i);
    unsigned const row = min(column, arguments.rows - 1) + shift;
    ends[i] = {arguments.scales == nullptr ? 1.0F : arguments.scales[row],
               arguments.bias.data == nullptr ? 0.0F : load_element(arguments.bias, row)};
}

/// What the warps of a block have added up, each of its steps.
template <unsigned row_tiles, unsigned token_tiles>
struct WarpSums {
    /// A token's sums lie so far behind another's that a warp's lanes write to different banks.
    float at[warps][token_tiles * tokens_per_tile][row_tiles * rows_per_tile + 4];

    __device__ __forceinline__ void store(float const (&sums)[row_tiles][token_tiles][4]) {
        unsigned const lane = threadIdx.x % 32;
        auto& of_warp = at[threadIdx.x / 32];
#pragma unroll
        for (unsigned r = 0; r < row_tiles; ++r) {
#pragma unroll
            for (unsigned t = 0; t < token_tiles; ++t) {
                unsigned const row = r * rows_per_tile + lane / 4;
                unsigned const token = t * tokens_per_tile + lane % 4 * 2;
                of_warp[token][row] = sums[r][t][0];
                of_warp[token + 1][row] = sums[r][t][1];
                of_warp[token][row + 8] = sums[r][t][2];
                of_warp[token + 1][row + 8] = sums[r][t][3];
            }
        }
    }

    __device__ __forceinline__ float add(unsigned token, unsigned row) const {
        float sum = 0.0F;
#pragma unroll
        for (unsigned w = 0; w < warps; ++w) sum += at[w][token][row];
        return sum;
    }
};

template <class W, Tiles tiles, unsigned row_tiles, unsigned token_tiles>
__device__ __forceinline__ void finish(StreamArguments const& arguments, unsigned first_column,
                                       WarpSums<row_tiles, token_tiles> const& sums,
                                       RowEnd const (&ends)[row_tiles * rows_per_tile]) {
    constexpr unsigned columns = Block<W, tiles>::columns;
    auto const result = [&](unsigned token, unsigned row) {
        return fmaf(sums.add(token, row), ends[row].scale, ends[row].bias);
    };
    for (unsigned i = threadIdx.x; i < arguments.tokens * columns; i += warps * 32) {
        unsigned const token = i / columns;
        unsigned const column = i % columns;
        if (first_column + column >= arguments.rows) continue;
        float value = result(token, column);
        if constexpr (tiles == Tiles::gate_and_up) {
            value = gated(arguments.gate, value, result(token, column + rows_per_tile));
        }
        store_element(arguments.y, token * arguments.y_stride + first_column + column, value);
    }
}

/// One step of a lane's rows, which are 8 rows apart, from `first` on and, where they are of gate
/// and up, from `up` on as well; zeros behind the last of them.
template <class W, Tiles tiles>
struct StepRows {
    StepWeights<W> halves[2 * Block<W, tiles>::row_tiles];

    __device__ __forceinline__ void load(W const* first, W const* up,
                                         StreamArguments const& arguments, unsigned rows_left,
                                         unsigned column) {
#pragma unroll
        for (unsigned h = 0; h < 2 * Block<W, tiles>::row_tiles; ++h) {
            bool const of_up = tiles == Tiles::gate_and_up && h >= 2;
            unsigned const row = of_up ? h * 8 - rows_per_tile : h * 8;
            halves[h] = load_weights((of_up ? up : first) + row * arguments.w_stride, column,
                                     row < rows_left ? arguments.depth : 0);
        }
    }
};

/// Tokens beyond the last are computed from the last one again; neither they nor rows beyond the
/// last are stored.
template <class W, Tiles tiles, unsigned token_tiles>
__global__ void __launch_bounds__(warps * 32, blocks_together)
    stream_rows(StreamArguments arguments) {
    let_next_grid_start();
    constexpr unsigned row_tiles = Block<W, tiles>::row_tiles;
    constexpr unsigned steps_ahead = Block<W, tiles>::steps_ahead;
    constexpr unsigned step_distance = warps * step_columns;
    unsigned const lane = threadIdx.x % 32;
    unsigned const depth = arguments.depth;
    unsigned const first_column = blockIdx.x * Block<W, tiles>::columns;
    unsigned const row = first_column + lane / 4;
    unsigned const rows_left = row < arguments.rows ? arguments.rows - row : 0;
    unsigned column = threadIdx.x / 32 * step_columns + lane % 4 * StepDeal<W>::lane_columns;
    W const* w = static_cast<W const*>(arguments.w) + row * arguments.w_stride + column;
    W const* up = w + arguments.rows * arguments.w_stride;
    StepRows<W, tiles> weights[steps_ahead];
#pragma unroll
    for (unsigned s = 0; s < steps_ahead; ++s) {
        unsigned const offset = s * step_distance;
        weights[s].load(w + offset, up + offset, arguments, rows_left, column + offset);
    }
    if (blockIdx.x < arguments.first_wave) prefetch_rest<W, tiles>(arguments, first_column);
    __shared__ WarpSums<row_tiles, token_tiles> warp_sums;
    __shared__ RowEnd ends[Block<W, tiles>::rows];
    load_ends<tiles>(arguments, first_column, ends);
    wait_for_previous_grid();

    BFloat16 const* x[token_tiles];
#pragma unroll
    for (unsigned t = 0; t < token_tiles; ++t) {
        unsigned const token = min(t * tokens_per_tile + lane / 4, arguments.tokens - 1);
        x[t] = arguments.x + token * arguments.x_stride + column;
    }
    float sums[row_tiles][token_tiles][4] = {};
    // Parts of x that are asked for together: as many as there are registers for.
    constexpr bool is_tight = tiles == Tiles::gate_and_up && token_tiles == 1 && sizeof(W) == 1;
    constexpr unsigned parts = is_tight ? 1 : 2;
    // The warp's step, so that its lanes stay together.
    while (column / step_columns * step_columns < depth) {
        w += steps_ahead * step_distance;
        up += steps_ahead * step_distance;
#pragma unroll
        for (unsigned first = 0; first < steps_ahead * token_tiles; first += parts) {
            StepTokens tokens[parts];
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
                unsigned const offset = s * step_distance;
                weights[s].load(w + offset, up + offset, arguments, rows_left,
                                column + steps_ahead * step_distance + offset);
            }
        }
        column += steps_ahead * step_distance;
#pragma unroll
        for (unsigned t = 0; t < token_tiles; ++t) x[t] += steps_ahead * step_distance;
    }
    // Or nvcc 13.0 works out beforehand where the sums go, and has no register left to keep it in.
    if constexpr (tiles == Tiles::gate_and_up) __syncwarp();
    warp_sums.store(sums);
    __syncthreads();
    finish<W, tiles>(arguments, first_column, warp_sums, ends);
}

template <class W, Tiles tiles>
void launch_rows(StreamArguments const& arguments, cudaStream_t stream) {
    constexpr unsigned columns = Block<W, tiles>::columns;
    LaunchShape const shape{.grid = dim3((arguments.rows + columns - 1) / columns),
                            .block = dim3(warps * 32)};
    auto* const kernel =
        arguments.tokens <= tokens_per_tile ? stream_rows<W, tiles, 1> : stream_rows<W, tiles, 2>;
    launch_dependent(kernel, shape, stream, arguments);
}

/// Two tiles of rows share what is read of x, unless many multiprocessors would be without a block.
template <class W>
void launch_stream(StreamArguments const& arguments, unsigned multiprocessors,
                   cudaStream_t stream) {
    constexpr unsigned few_tokens = 4;
    unsigned const blocks = arguments.rows / Block<W, Tiles::two>::rows;
    if (arguments.tokens > few_tokens && blocks * 4 >= multiprocessors * 3) {
        launch_rows<W, Tiles::two>(arguments, stream);
    } else {
        launch_rows<W, Tiles::one>(arguments, stream);
    }
}

StreamArguments arguments_of(Product const& product, unsigned multiprocessors) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    return {.x = x.row<BFloat16>(0),
            .w = w.data,
            .x_stride = x.stride,
            .w_stride = w.stride,
            .y_stride = y.stride,
            .tokens = static_cast<unsigned>(x.rows),
            .rows = static_cast<unsigned>(y.cols),
            .depth = static_cast<unsigned>(x.cols),
            .first_wave = blocks_together * multiprocessors,
            .scales = reinterpret_cast<float const*>(w_scales.data),
            .bias = {bias.data, bias.dtype},
            .y = {y.data, y.dtype},
            .gate = {}};
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
    auto const arguments = arguments_of(product, multiprocessors);
    if (product.w.dtype == DType::f8e4m3) {
        launch_stream<Float8>(arguments, multiprocessors, stream);
    } else {
        launch_stream<BFloat16>(arguments, multiprocessors, stream);
    }
}

void stream_gated(Product const& product, GateEnd gate, unsigned multiprocessors,
                  cudaStream_t stream) {
    auto arguments = arguments_of(product, multiprocessors);
    arguments.gate = gate;
    if (product.w.dtype == DType::f8e4m3) {
        launch_rows<Float8, Tiles::gate_and_up>(arguments, stream);
    } else {
        launch_rows<BFloat16, Tiles::gate_and_up>(arguments, stream);
    }
}

}  // namespace tesserank::kernels::cuda
