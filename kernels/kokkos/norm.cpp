#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <array>
#include <cmath>
#include <vector>

namespace tesserank::kernels::kokkos {
namespace {

/// The sum of term(0) .. term(count - 1), in eight sums side by side: one chain of additions would
/// wait for itself.
template <class Term>
float sum_of(std::size_t count, Term const& term) {
    std::array<float, 8> sums{};
    std::size_t i = 0;
    for (; i + sums.size() <= count; i += sums.size()) {
        for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += term(i + lane);
    }
    for (std::size_t lane = 0; i < count; ++i, ++lane) sums[lane] += term(i);
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

template <class Element>
float sum_of_squares(Element const* row, std::size_t count) {
    return sum_of(count, [=](std::size_t c) { return to_float(row[c]) * to_float(row[c]); });
}

template <class Element>
float inverse_root_mean_square(Element const* row, std::size_t count, float eps) {
    return 1.0F / std::sqrt(sum_of_squares(row, count) / static_cast<float>(count) + eps);
}

/// A norm's weight or bias as floats; zeros when it has no data.
std::vector<float> widen_vector(isa::KernelTable const& kernels, ConstTensorView const& view,
                                std::size_t size) {
    std::vector<float> values(size);
    if (view.data != nullptr) kernels.widen(view.dtype, view.data, values.data(), size);
    return values;
}

template <class Element, class Result>
void normalize(Element const* x, float const* weight, float eps, std::span<Result> y) {
    float const scale = inverse_root_mean_square(x, y.size(), eps);
    for (std::size_t c = 0; c < y.size(); ++c) {
        y[c] = from_float<Result>(to_float(x[c]) * scale * weight[c]);
    }
}

/// The mean and 1 / standard deviation of a row.
struct Moments {
    float mean = 0.0F;
    float scale = 0.0F;

    Moments(float const* row, std::size_t count, float eps) {
        auto const size = static_cast<float>(count);
        float const m = sum_of(count, [=](std::size_t c) { return row[c]; }) / size;
        float const squares =
            sum_of(count, [=](std::size_t c) { return (row[c] - m) * (row[c] - m); });
        mean = m;
        scale = 1.0F / std::sqrt(squares / size + eps);
    }
};

}  // namespace

void KokkosBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
    contracts::norm(x, weight, {}, y);
    auto const factors = widen_vector(*kernels_, weight, x.cols);
    visit_dtype(y.dtype, [&]<class Result>(Result) {
        parallel_for("rms_norm", x.rows, [=, w = factors.data()](std::size_t t) {
            normalize(x.row<float>(t), w, eps, std::span(y.row<Result>(t), y.cols));
        });
    });
}

void KokkosBackend::add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                                 float eps, TensorView y) {
    contracts::add_norm(residual, delta, weight, y);
    auto const factors = widen_vector(*kernels_, weight, y.cols);
    visit_dtype(y.dtype, [&]<class Result>(Result) {
        parallel_for("add_rms_norm", y.rows, [=, w = factors.data()](std::size_t t) {
            float* const sum = residual.row<float>(t);
            float const* const term = delta.row<float>(t);
            for (std::size_t c = 0; c < residual.cols; ++c) sum[c] += term[c];
            normalize(sum, w, eps, std::span(y.row<Result>(t), y.cols));
        });
    });
}

void KokkosBackend::head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                                  float eps) {
    contracts::head_norm(x, head_dim, weight);
    auto const factors = widen_vector(*kernels_, weight, head_dim);
    visit_dtype(x.dtype, [&]<class Element>(Element) {
        parallel_for("head_rms_norm", x.rows, [=, w = factors.data()](std::size_t t) {
            for (std::size_t first = 0; first < x.cols; first += head_dim) {
                Element* const head = x.row<Element>(t) + first;
                normalize(head, w, eps, std::span(head, head_dim));
            }
        });
    });
}

void KokkosBackend::square_sums(ConstTensorView x, TensorView y) {
    contracts::square_sums(x, y);
    visit_dtype(x.dtype, [&]<class Element>(Element) {
        parallel_for("square_sums", x.rows, [=](std::size_t t) {
            *y.row<float>(t) = sum_of_squares(x.row<Element>(t), x.cols);
        });
    });
}

void KokkosBackend::scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                                         ConstTensorView weight, float eps) {
    contracts::scale_by_square_sums(x, sums, width, weight);
    if (x.size() == 0) return;
    auto const factors = widen_vector(*kernels_, weight, x.cols);
    visit_dtype(x.dtype, [&]<class Element>(Element) {
        parallel_for("scale_by_square_sums", x.rows, [=, w = factors.data()](std::size_t t) {
            float const squares = *sums.row<float>(t);
            float const scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + eps);
            Element* const row = x.row<Element>(t);
            for (std::size_t c = 0; c < x.cols; ++c) {
                row[c] = from_float<Element>(to_float(row[c]) * (scale * w[c]));
            }
        });
    });
}

void KokkosBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                               float eps, TensorView y) {
    contracts::norm(x, weight, bias, y);
    auto const factors = widen_vector(*kernels_, weight, x.cols);
    auto const offsets = widen_vector(*kernels_, bias, x.cols);
    visit_dtype(y.dtype, [&]<class Result>(Result) {
        auto const normalize_row = [=, w = factors.data(), b = offsets.data()](std::size_t t) {
            float const* const row = x.row<float>(t);
            Result* const to = y.row<Result>(t);
            Moments const moments(row, x.cols, eps);
            for (std::size_t c = 0; c < x.cols; ++c) {
                float const value = (row[c] - moments.mean) * moments.scale;
                to[c] = from_float<Result>(value * w[c] + b[c]);
            }
        };
        parallel_for("layer_norm", x.rows, normalize_row);
    });
}

}  // namespace tesserank::kernels::kokkos
