#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::kernels::reference {

void ReferenceBackend::copy(ConstTensorView source, TensorView destination) {
    contracts::copy(source, destination);
    std::size_t const size = size_of(source.dtype);
    for (std::size_t t = 0; t < source.rows; ++t) {
        std::copy_n(source.data + t * source.stride * size, source.cols * size,
                    destination.data + t * destination.stride * size);
    }
}

void ReferenceBackend::add(TensorView x, ConstTensorView y) {
    contracts::add(x, y);
    for (std::size_t t = 0; t < x.rows; ++t) {
        for (std::size_t c = 0; c < x.cols; ++c) x.row<float>(t)[c] += y.row<float>(t)[c];
    }
}

void ReferenceBackend::add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) {
    contracts::add_scaled(x, y, scale);
    std::vector<float> factors(scale.cols);
    load_row(scale, 0, factors);
    for (std::size_t t = 0; t < x.rows; ++t) {
        for (std::size_t c = 0; c < x.cols; ++c) {
            x.row<float>(t)[c] += y.row<float>(t)[c] * factors[c];
        }
    }
}

void ReferenceBackend::gather_rows(ConstTensorView x, std::span<std::size_t const> rows,
                                   TensorView y) {
    contracts::gather_rows(x, rows, y);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::copy_n(x.row<float>(rows[i]), x.cols, y.row<float>(i));
    }
}

void ReferenceBackend::round(ConstTensorView x, TensorView y) {
    contracts::round(x, y);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        store_row(row, y, t);
    }
}

}  // namespace tesserank::kernels::reference
