#pragma once

#include "kernels/tensor.hpp"

#include <cstddef>
#include <span>

namespace tesserank::kernels {

/// The elements of one row of a tensor in host memory as floats. `row` has `view.cols` elements.
inline void load_row(ConstTensorView const& view, std::size_t index, std::span<float> row) {
    visit_dtype(view.dtype, [&]<class T>(T) {
        T const* source = view.row<T>(index);
        for (std::size_t c = 0; c < row.size(); ++c) row[c] = to_float(source[c]);
    });
}

/// Writes floats to one row of a tensor in host memory, rounded to its dtype.
inline void store_row(std::span<float const> row, TensorView const& view, std::size_t index) {
    visit_dtype(view.dtype, [&]<class T>(T) {
        T* destination = view.row<T>(index);
        for (std::size_t c = 0; c < row.size(); ++c) destination[c] = from_float<T>(row[c]);
    });
}

}  // namespace tesserank::kernels
