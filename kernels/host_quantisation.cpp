#include "kernels/contracts.hpp"
#include "kernels/host_backend.hpp"
#include "kernels/quantisation.hpp"
#include "kernels/rows.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tesserank::kernels {
namespace {

/// Rows of w that are widened at a time.
constexpr std::size_t rows_per_block = 64;

/// The largest magnitude; NaN when there is one.
float largest(std::span<float const> values) {
    float most = 0.0F;
    for (float const value : values) {
        float const magnitude = std::abs(value);
        if (!(magnitude <= most)) most = magnitude;
        if (std::isnan(most)) break;
    }
    return most;
}

/// Elements times scales.
void widen(ConstTensorView const& w8, ConstTensorView const& scales, std::vector<float>& wide) {
    wide.resize(w8.size());
    for (std::size_t n = 0; n < w8.rows; ++n) {
        float const scale = scales.row<float>(0)[n];
        Float8 const* const from = w8.row<Float8>(n);
        float* const to = wide.data() + n * w8.cols;
        for (std::size_t k = 0; k < w8.cols; ++k) to[k] = to_float(from[k]) * scale;
    }
}

/// norm(t, place) for each row, which is quantised behind it.
template <class NormRow>
void quantise_normed(HostBackend& backend, QuantisedRows const& y, NormRow const& norm) {
    std::vector<BFloat16> row(y.values.cols);
    auto const rounded = view_of(row.data(), 1, row.size());
    for (std::size_t t = 0; t < y.values.rows; ++t) {
        norm(t, rounded);
        backend.quantise_rows(rounded, y.values.rows_from(t, 1), y.scales.cols_from(t, 1));
    }
}

}  // namespace

void HostBackend::quantise_rows(ConstTensorView w, TensorView w8, TensorView scales) {
    contracts::quantise_rows(w, w8, scales);
    std::vector<float> row(w.cols);
    for (std::size_t n = 0; n < w.rows; ++n) {
        load_row(w, n, row);
        float const scale = scale_of_largest(largest(row));
        scales.row<float>(0)[n] = scale;
        Float8* const to = w8.row<Float8>(n);
        for (std::size_t k = 0; k < w.cols; ++k) to[k] = from_float<Float8>(row[k] / scale);
    }
}

void HostBackend::gemm_scaled(ConstTensorView x, ConstTensorView w8, ConstTensorView scales,
                              ConstTensorView bias, TensorView y) {
    contracts::gemm_scaled(x, w8, scales, bias, y);
    std::vector<float> wide;
    for (std::size_t first = 0; first < w8.rows; first += rows_per_block) {
        std::size_t const count = std::min(rows_per_block, w8.rows - first);
        widen(w8.rows_from(first, count), scales.cols_from(first, count), wide);
        float const* const weights = wide.data();
        gemm(x, view_of(weights, count, w8.cols),
             bias.data == nullptr ? bias : bias.cols_from(first, count), y.cols_from(first, count));
    }
}

void HostBackend::gemm_quantised(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                                 ConstTensorView bias, TensorView y) {
    contracts::gemm_quantised(x, w8, scales, bias, y);
    std::vector<float> wide;
    widen(x.values, x.scales, wide);
    float const* const rows = wide.data();
    gemm_scaled(view_of(rows, x.values.rows, x.values.cols), w8, scales, bias, y);
}

void HostBackend::rms_norm_quantised(ConstTensorView x, ConstTensorView weight, float eps,
                                     QuantisedRows y) {
    contracts::norm_quantised(x, weight, {}, y);
    quantise_normed(*this, y, [&](std::size_t t, TensorView const& row) {
        rms_norm(x.rows_from(t, 1), weight, eps, row);
    });
}

void HostBackend::add_rms_norm_quantised(TensorView residual, ConstTensorView delta,
                                         ConstTensorView weight, float eps, QuantisedRows y) {
    contracts::add_norm_quantised(residual, delta, weight, y);
    quantise_normed(*this, y, [&](std::size_t t, TensorView const& row) {
        add_rms_norm(residual.rows_from(t, 1), delta.rows_from(t, 1), weight, eps, row);
    });
}

void HostBackend::layer_norm_quantised(ConstTensorView x, ConstTensorView weight,
                                       ConstTensorView bias, float eps, QuantisedRows y) {
    contracts::norm_quantised(x, weight, bias, y);
    quantise_normed(*this, y, [&](std::size_t t, TensorView const& row) {
        layer_norm(x.rows_from(t, 1), weight, bias, eps, row);
    });
}

}  // namespace tesserank::kernels
