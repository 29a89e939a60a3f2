#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/skinny_gemm.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

/// y = x w^T on the ordinary cores: for the types, shapes and alignments that stream_gemm() and
/// cuBLASLt do not take. A warp multiplies one row of w with one token, or with 4, which share the
/// loads of w; the blocks of the same rows and other tokens run at the same time, so that w comes
/// from memory once. Lane l takes the columns 8 l .. 8 l + 7 of each 256: the order of additions
/// depends on K alone.
namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned warps = 8;
constexpr unsigned chunk = 8;  ///< columns of a lane at a time

struct RowArguments {
    ConstElements x, w, bias;
    float const* scales;
    Elements y;
    std::size_t x_stride, w_stride, y_stride;
    std::size_t tokens, rows, depth;
};

/// How the elements of a row are read: one by one, or a chunk in vectors, which it is aligned to.
enum class Access { scalar, vector };

template <Access access, class T>
__device__ __forceinline__ void load_chunk(T const* from, float (&values)[chunk]) {
    if constexpr (access == Access::vector) {
        using Vector = std::conditional_t<sizeof(T) == 1, uint2, uint4>;
        constexpr unsigned per_vector = sizeof(Vector) / sizeof(T);
        struct Elements {
            T values[per_vector];
        };
#pragma unroll
        for (unsigned v = 0; v < chunk / per_vector; ++v) {
            auto const elements = std::bit_cast<Elements>(reinterpret_cast<Vector const*>(from)[v]);
#pragma unroll
            for (unsigned i = 0; i < per_vector; ++i) {
                values[v * per_vector + i] = load_float(elements.values[i]);
            }
        }
    } else {
#pragma unroll
        for (unsigned i = 0; i < chunk; ++i) values[i] = load_float(from[i]);
    }
}

/// What is left of a row's columns at its end, filled up with zeros.
template <class T>
__device__ __forceinline__ void load_rest(T const* from, std::size_t count,
                                          float (&values)[chunk]) {
#pragma unroll
    for (unsigned i = 0; i < chunk; ++i) values[i] = i < count ? load_float(from[i]) : 0.0F;
}

__device__ __forceinline__ float add_products(float sum, float const (&a)[chunk],
                                              float const (&b)[chunk]) {
#pragma unroll
    for (unsigned i = 0; i < chunk; ++i) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/// Tokens beyond the last are computed from the last one again, and not stored.
template <class X, class W, unsigned tokens, Access access>
__global__ void __launch_bounds__(warps * 32) multiply_rows(RowArguments arguments) {
    let_next_grid_start();
    wait_for_previous_grid();
    std::size_t const passes = (arguments.tokens + tokens - 1) / tokens;
    std::size_t const row = blockIdx.x / passes * warps + threadIdx.x / 32;
    std::size_t const first_token = blockIdx.x % passes * tokens;
    if (row >= arguments.rows) return;
    std::size_t const lane = threadIdx.x % 32;
    std::size_t const depth = arguments.depth;
    W const* const w = static_cast<W const*>(arguments.w.data) + row * arguments.w_stride;
    X const* x[tokens];
#pragma unroll
    for (unsigned t = 0; t < tokens; ++t) {
        std::size_t const token = min(first_token + t, arguments.tokens - 1);
        x[t] = static_cast<X const*>(arguments.x.data) + token * arguments.x_stride;
    }

    float sums[tokens] = {};
    std::size_t const whole = depth / chunk * chunk;
#pragma unroll 4
    for (std::size_t column = lane * chunk; column < whole; column += 32 * chunk) {
        float weights[chunk];
        load_chunk<access>(w + column, weights);
#pragma unroll
        for (unsigned t = 0; t < tokens; ++t) {
            float values[chunk];
            load_chunk<access>(x[t] + column, values);
            sums[t] = add_products(sums[t], weights, values);
        }
    }
    if (whole < depth && lane == whole / chunk % 32) {
        float weights[chunk];
        load_rest(w + whole, depth - whole, weights);
#pragma unroll
        for (unsigned t = 0; t < tokens; ++t) {
            float values[chunk];
            load_rest(x[t] + whole, depth - whole, values);
            sums[t] = add_products(sums[t], weights, values);
        }
    }
    float const scale = arguments.scales == nullptr ? 1.0F : arguments.scales[row];
    float const offset = arguments.bias.data == nullptr ? 0.0F : load_element(arguments.bias, row);
#pragma unroll
    for (unsigned t = 0; t < tokens; ++t) {
        float const sum = warp_sum(sums[t]);
        std::size_t const token = first_token + t;
        if (lane == 0 && token < arguments.tokens) {
            store_element(arguments.y, token * arguments.y_stride + row, fmaf(sum, scale, offset));
        }
    }
}

template <class X, class W>
void launch_rows(RowArguments const& arguments, Access access, cudaStream_t stream) {
    bool const vectors = access == Access::vector;
    bool const single = arguments.tokens == 1;
    std::size_t const passes = single ? 1 : (arguments.tokens + 3) / 4;
    std::size_t const blocks = (arguments.rows + warps - 1) / warps * passes;
    auto* const kernel = single ? (vectors ? multiply_rows<X, W, 1, Access::vector>
                                           : multiply_rows<X, W, 1, Access::scalar>)
                                : (vectors ? multiply_rows<X, W, 4, Access::vector>
                                           : multiply_rows<X, W, 4, Access::scalar>);
    launch_dependent(kernel,
                     {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(warps * 32)},
                     stream, arguments);
}

}  // namespace

void row_gemm(Product const& product, cudaStream_t stream) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    RowArguments const arguments{.x = {x.data, x.dtype},
                                 .w = {w.data, w.dtype},
                                 .bias = {bias.data, bias.dtype},
                                 .scales = reinterpret_cast<float const*>(w_scales.data),
                                 .y = {y.data, y.dtype},
                                 .x_stride = x.stride,
                                 .w_stride = w.stride,
                                 .y_stride = y.stride,
                                 .tokens = x.rows,
                                 .rows = w.rows,
                                 .depth = x.cols};
    Access const access = rows_aligned(x) && rows_aligned(w) ? Access::vector : Access::scalar;
    auto const launch_for = [&]<class W>(W) {
        if (x.dtype == DType::bf16) {
            launch_rows<BFloat16, W>(arguments, access, stream);
        } else {
            launch_rows<float, W>(arguments, access, stream);
        }
    };
    if (w.dtype == DType::f8e4m3) {
        launch_for(Float8{});
    } else {
        visit_dtype(w.dtype, launch_for);
    }
}

}  // namespace tesserank::kernels::cuda
