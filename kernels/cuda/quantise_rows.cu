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

__global__ void __launch_bounds__(threads) quantise(QuantiseArguments arguments) {
    std::size_t const row = blockIdx.x;
    std::size_t const begin = row * arguments.source_stride;
    std::uint32_t most = 0;
    for (std::size_t column = threadIdx.x; column < arguments.cols; column += threads) {
        most = max(most, magnitude_bits(load_element(arguments.source, begin + column)));
    }
    float const scale = scale_of_largest(__uint_as_float(block_max(most)));
    if (threadIdx.x == 0) arguments.scales[row] = scale;
    Float8* const quantised = arguments.quantised + row * arguments.quantised_stride;
    for (std::size_t column = threadIdx.x; column < arguments.cols; column += threads) {
        float const value = load_element(arguments.source, begin + column);
        quantised[column] = store_float<Float8>(value / scale);
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
    launch(quantise, shape, stream, arguments);
}

}  // namespace tesserank::kernels::cuda
