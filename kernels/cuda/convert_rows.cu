#include "kernels/cuda/convert_rows.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/elements.cuh"

#include <algorithm>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned threads = 256;

struct ConvertArguments {
    ConstElements source, bias;
    float const* scales;
    Elements destination;
    std::size_t source_stride, destination_stride;
    std::size_t rows, cols;
};

__global__ void __launch_bounds__(threads) convert(ConvertArguments arguments) {
    std::size_t const column = std::size_t{blockIdx.x} * threads + threadIdx.x;
    if (column >= arguments.cols) return;
    float const scale = arguments.scales == nullptr ? 1.0F : arguments.scales[column];
    float const offset =
        arguments.bias.data == nullptr ? 0.0F : load_element(arguments.bias, column);
    for (std::size_t row = blockIdx.y; row < arguments.rows; row += gridDim.y) {
        float const value = load_element(arguments.source, row * arguments.source_stride + column);
        store_element(arguments.destination, row * arguments.destination_stride + column,
                      fmaf(value, scale, offset));
    }
}

}  // namespace

void convert_rows(ConstTensorView const& source, RowChange const& change,
                  TensorView const& destination, cudaStream_t stream) {
    constexpr std::size_t most_row_blocks = 65535;
    ConvertArguments const arguments{.source = {source.data, source.dtype},
                                     .bias = {change.bias.data, change.bias.dtype},
                                     .scales = reinterpret_cast<float const*>(change.scales.data),
                                     .destination = {destination.data, destination.dtype},
                                     .source_stride = source.stride,
                                     .destination_stride = destination.stride,
                                     .rows = source.rows,
                                     .cols = source.cols};
    dim3 const grid(static_cast<unsigned>((source.cols + threads - 1) / threads),
                    static_cast<unsigned>(std::min(source.rows, most_row_blocks)));
    launch(convert, {.grid = grid, .block = dim3(threads)}, stream, arguments);
}

}  // namespace tesserank::kernels::cuda
