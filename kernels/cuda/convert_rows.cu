#include "kernels/cuda/convert_rows.hpp"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/packs.cuh"

namespace tesserank::kernels::cuda {
namespace {

struct Convert {
    ConstTensorView source, scales, bias;
    TensorView destination;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        auto values = load_elements<Width>({row_of(source, row), source.dtype}, col);
        if (scales.data != nullptr) {
            auto const factors = load_pack<float, Width>(scales.data, col);
            for (int i = 0; i < Width; ++i) values.at[i] *= factors.at[i];
        }
        if (bias.data != nullptr) {
            auto const offsets = load_floats<Width>(bias.data, bias.dtype, col);
            for (int i = 0; i < Width; ++i) values.at[i] += offsets.at[i];
        }
        store_floats<Width>(row_of(destination, row), destination.dtype, col, values);
    }
};

bool aligned_or_none(ConstTensorView const& view) {
    return view.data == nullptr || rows_aligned(view);
}

}  // namespace

void convert_rows(ConstTensorView const& source, RowChange const& change,
                  TensorView const& destination, cudaStream_t stream) {
    bool const aligned = rows_aligned(source) && rows_aligned(destination) &&
                         aligned_or_none(change.scales) && aligned_or_none(change.bias);
    for_each_pack(stream, {source.rows, source.cols}, aligned,
                  Convert{source, change.scales, change.bias, destination});
}

}  // namespace tesserank::kernels::cuda
