#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/quantise_rows.hpp"
#include "kernels/cuda/quantised_packs.cuh"
#include "kernels/quantisation.hpp"

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
