#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/quantise_rows.hpp"
#include "kernels/quantisation.hpp"

#include <bit>
#include <cstdint>

/// A block reads its row twice; the second time it comes from a cache.
namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned threads = 256;

struct QuantiseArguments {
    ConstElements source;
    Float8* quantised;
    float* scales;
    std::size_t source_stride, quantised_stride;
    std::size_t cols;
};

/// The bits of magnitudes are in the order of the magnitudes, and those of NaN are above all.
__device__ __forceinline__ std::uint32_t magnitude_bits(float value) {
    return __float_as_uint(value) & 0x7FFFFFFFU;
}

/// The largest of the block's values, in all threads.
__device__ __forceinline__ std::uint32_t block_max(std::uint32_t value) {
    __shared__ std::uint32_t of_warps[threads / 32];
    for (int distance = 16; distance > 0; distance /= 2) {
        value = max(value, __shfl_xor_sync(full_warp, value, distance));
    }
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    for (std::uint32_t const other : of_warps) value = max(value, other);
    return value;
}

template <unsigned Width>
__device__ __forceinline__ void store_quantised(Float8* to, Floats<Width> const& values,
                                                float scale) {
    if constexpr (Width == 1) {
        *to = store_float<Float8>(values.at[0] / scale);
    } else {
        Pack<std::uint16_t, Width / 2> pairs;
#pragma unroll
        for (unsigned i = 0; i < Width / 2; ++i) {
            pairs.at[i] = pack_f8(values.at[2 * i] / scale, values.at[2 * i + 1] / scale);
        }
        *reinterpret_cast<Pack<std::uint16_t, Width / 2>*>(to) = pairs;
    }
}

/// Width neighbours at once; the columns divide by it.
template <unsigned Width>
__global__ void __launch_bounds__(threads) quantise(QuantiseArguments arguments) {
    std::size_t const row = blockIdx.x;
    std::size_t const begin = row * arguments.source_stride;
    std::size_t const first = threadIdx.x * Width;
    std::uint32_t most = 0;
    for (std::size_t column = first; column < arguments.cols; column += threads * Width) {
        auto const values = load_elements<Width>(arguments.source, begin + column);
        for (float const value : values.at) most = max(most, magnitude_bits(value));
    }
    float const scale = scale_of_largest(__uint_as_float(block_max(most)));
    if (threadIdx.x == 0) arguments.scales[row] = scale;
    Float8* const quantised = arguments.quantised + row * arguments.quantised_stride;
    for (std::size_t column = first; column < arguments.cols; column += threads * Width) {
        store_quantised<Width>(quantised + column,
                               load_elements<Width>(arguments.source, begin + column), scale);
    }
}

}  // namespace

void quantise_rows(ConstTensorView const& source, TensorView const& quantised,
                   TensorView const& scales, cudaStream_t stream) {
    QuantiseArguments const arguments{.source = {source.data, source.dtype},
                                      .quantised = quantised.row<Float8>(0),
                                      .scales = scales.row<float>(0),
                                      .source_stride = source.stride,
                                      .quantised_stride = quantised.stride,
                                      .cols = source.cols};
    LaunchShape const shape{.grid = dim3(static_cast<unsigned>(source.rows)),
                            .block = dim3(threads)};
    constexpr unsigned width = 8;
    bool const in_packs =
        source.cols % width == 0 && rows_aligned(source) && rows_aligned(quantised);
    launch(in_packs ? quantise<width> : quantise<1>, shape, stream, arguments);
}

}  // namespace tesserank::kernels::cuda
