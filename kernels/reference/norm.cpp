#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <cmath>
#include <vector>

namespace tesserank::kernels::reference {
namespace {

/// row = row / sqrt(mean(row^2) + eps) * weight
void normalize(std::span<float> row, std::span<float const> weight, float eps) {
    double squares = 0.0;
    for (float const value : row)
        squares += static_cast<double>(value) * static_cast<double>(value);
    double const scale =
        1.0 / std::sqrt(squares / static_cast<double>(row.size()) + static_cast<double>(eps));
    for (std::size_t c = 0; c < row.size(); ++c) {
        row[c] = static_cast<float>(static_cast<double>(row[c]) * scale *
                                    static_cast<double>(weight[c]));
    }
}

std::vector<float> load_vector(ConstTensorView const& view) {
    std::vector<float> values(view.cols);
    load_row(view, 0, values);
    return values;
}

}  // namespace

void ReferenceBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps,
                                TensorView y) {
    contracts::norm(x, weight, {}, y);
    auto const factors = load_vector(weight);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        normalize(row, factors, eps);
        store_row(row, y, t);
    }
}

void ReferenceBackend::add_rms_norm(TensorView residual, ConstTensorView delta,
                                    ConstTensorView weight, float eps, TensorView y) {
    contracts::add_norm(residual, delta, weight, y);
    add(residual, delta);
    rms_norm(residual, weight, eps, y);
}

void ReferenceBackend::head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                                     float eps) {
    contracts::head_norm(x, head_dim, weight);
    if (x.size() == 0) return;
    auto const factors = load_vector(weight);
    std::vector<float> head(head_dim);
    for (std::size_t first = 0; first < x.cols; first += head_dim) {
        auto const heads = x.cols_from(first, head_dim);
        for (std::size_t t = 0; t < x.rows; ++t) {
            load_row(heads, t, head);
            normalize(head, factors, eps);
            store_row(head, heads, t);
        }
    }
}

void ReferenceBackend::square_sums(ConstTensorView x, TensorView y) {
    contracts::square_sums(x, y);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        double squares = 0.0;
        for (float const value : row)
            squares += static_cast<double>(value) * static_cast<double>(value);
        *y.row<float>(t) = static_cast<float>(squares);
    }
}

void ReferenceBackend::scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                                            ConstTensorView weight, float eps) {
    contracts::scale_by_square_sums(x, sums, width, weight);
    if (x.size() == 0) return;
    auto const factors = load_vector(weight);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        auto const squares = static_cast<double>(*sums.row<float>(t));
        double const scale =
            1.0 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(eps));
        load_row(x, t, row);
        for (std::size_t c = 0; c < x.cols; ++c) {
            row[c] = static_cast<float>(static_cast<double>(row[c]) * scale *
                                        static_cast<double>(factors[c]));
        }
        store_row(row, x, t);
    }
}

void ReferenceBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                                  float eps, TensorView y) {
    contracts::norm(x, weight, bias, y);
    auto const factors = load_vector(weight);
    auto const offsets = bias.data != nullptr ? load_vector(bias) : std::vector<float>(x.cols);
    auto const width = static_cast<double>(x.cols);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        double mean = 0.0;
        for (float const value : row) mean += static_cast<double>(value) / width;
        double variance = 0.0;
        for (float const value : row) {
            double const distance = static_cast<double>(value) - mean;
            variance += distance * distance / width;
        }
        double const scale = 1.0 / std::sqrt(variance + static_cast<double>(eps));
        for (std::size_t c = 0; c < row.size(); ++c) {
            row[c] = static_cast<float>((static_cast<double>(row[c]) - mean) * scale *
                                            static_cast<double>(factors[c]) +
                                        static_cast<double>(offsets[c]));
        }
        store_row(row, y, t);
    }
}

}  // namespace tesserank::kernels::reference
