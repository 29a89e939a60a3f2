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
constexpr unsigned tokens_per_pass = 4;

struct RowArguments {
    ConstElements x, w, bias;
    float const* scales;
    Elements y;
    std::size_t x_stride, w_stride, y_stride;
    std::size_t tokens, rows, depth;
};

/// A row whose chunks are read in vectors, which they are aligned to.
template <class T>
class VectorRow {
  public:
    __device__ VectorRow(ConstElements elements, std::size_t begin)
        : data_{static_cast<T const*>(elements.data) + begin} {}

    __device__ void load(std::size_t column, float (&values)[chunk]) const {
        using Vector = std::conditional_t<sizeof(T) == 1, uint2, uint4>;
        constexpr unsigned per_vector = sizeof(Vector) / sizeof(T);
        struct Elements {
            T values[per_vector];
        };
#pragma unroll
        for (unsigned v = 0; v < chunk / per_vector; ++v) {
            auto const elements =
                std::bit_cast<Elements>(reinterpret_cast<Vector const*>(data_ + column)[v]);
#pragma unroll
            for (unsigned i = 0; i < per_vector; ++i) {
                values[v * per_vector + i] = load_float(elements.values[i]);
            }
        }
    }
    __device__ float load(std::size_t column) const { return load_float(data_[column]); }

  private:
    T const* data_;
};

/// Any row, whose elements are read one by one.
class AnyRow {
  public:
    __device__ AnyRow(ConstElements elements, std::size_t begin)
        : elements_{elements}, begin_{begin} {}

    __device__ void load(std::size_t column, float (&values)[chunk]) const {
#pragma unroll
        for (unsigned i = 0; i < chunk; ++i) values[i] = load(column + i);
    }
    __device__ float load(std::size_t column) const {
        return load_element(elements_, begin_ + column);
    }

  private:
    ConstElements elements_;
    std::size_t begin_;
};

/// What is left of a row's columns at its end, filled up with zeros.
template <class Row>
__device__ __forceinline__ void load_rest(Row const& row, std::size_t column, std::size_t depth,
                                          float (&values)[chunk]) {
#pragma unroll
    for (unsigned i = 0; i < chunk; ++i) {
        values[i] = column + i < depth ? row.load(column + i) : 0.0F;
    }
}

__device__ __forceinline__ float add_products(float sum, float const (&a)[chunk],
                                              float const (&b)[chunk]) {
#pragma unroll
    for (unsigned i = 0; i < chunk; ++i) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/// Tokens beyond the last are computed from the last one again, and not stored.
template <class XRow, class WRow, unsigned tokens>
__global__ void __launch_bounds__(warps * 32) multiply_rows(RowArguments arguments) {
    let_next_grid_start();
    wait_for_previous_grid();
    std::size_t const passes = (arguments.tokens + tokens - 1) / tokens;
    std::size_t const row = blockIdx.x / passes * warps + threadIdx.x / 32;
    std::size_t const first_token = blockIdx.x % passes * tokens;
    if (row >= arguments.rows) return;
    std::size_t const lane = threadIdx.x % 32;
    std::size_t const depth = arguments.depth;
    WRow const w(arguments.w, row * arguments.w_stride);
    auto const x = [&](unsigned t) {
        std::size_t const token = min(first_token + t, arguments.tokens - 1);
        return XRow(arguments.x, token * arguments.x_stride);
    };

    float sums[tokens] = {};
    std::size_t const whole = depth / chunk * chunk;
#pragma unroll(tokens == 1 ? 4 : 1)
    for (std::size_t column = lane * chunk; column < whole; column += 32 * chunk) {
        float weights[chunk];
        w.load(column, weights);
#pragma unroll
        for (unsigned t = 0; t < tokens; ++t) {
            float values[chunk];
            x(t).load(column, values);
            sums[t] = add_products(sums[t], weights, values);
        }
    }
    if (whole < depth && lane == whole / chunk % 32) {
        float weights[chunk];
        load_rest(w, whole, depth, weights);
#pragma unroll
        for (unsigned t = 0; t < tokens; ++t) {
            float values[chunk];
            load_rest(x(t), whole, depth, values);
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

template <class XRow, class WRow, unsigned tokens>
void launch_rows(RowArguments const& arguments, cudaStream_t stream) {
    std::size_t const passes = (arguments.tokens + tokens - 1) / tokens;
    std::size_t const blocks = (arguments.rows + warps - 1) / warps * passes;
    LaunchShape const shape{.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(warps * 32)};
    launch_dependent(multiply_rows<XRow, WRow, tokens>, shape, stream, arguments);
}

template <class X, class W>
void launch_vectors(RowArguments const& arguments, cudaStream_t stream) {
    if (arguments.tokens == 1) {
        launch_rows<VectorRow<X>, VectorRow<W>, 1>(arguments, stream);
    } else {
        launch_rows<VectorRow<X>, VectorRow<W>, tokens_per_pass>(arguments, stream);
    }
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
    if (!rows_aligned(x) || !rows_aligned(w)) {
        return launch_rows<AnyRow, AnyRow, tokens_per_pass>(arguments, stream);
    }
    auto const launch_for = [&]<class W>(W) {
        if (x.dtype == DType::bf16) {
            launch_vectors<BFloat16, W>(arguments, stream);
        } else {
            launch_vectors<float, W>(arguments, stream);
        }
    };
    if (w.dtype == DType::f8e4m3) {
        launch_for(Float8{});
    } else {
        visit_dtype(w.dtype, launch_for);
    }
}

}  // namespace tesserank::kernels::cuda
