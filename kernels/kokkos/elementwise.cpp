#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::kernels::kokkos {

void KokkosBackend::copy(ConstTensorView source, TensorView destination) {
    contracts::copy(source, destination);
    std::size_t const size = size_of(source.dtype);
    parallel_for("copy", source.rows, [=](std::size_t t) {
        std::copy_n(source.data + t * source.stride * size, source.cols * size,
                    destination.data + t * destination.stride * size);
    });
}

void KokkosBackend::add(TensorView x, ConstTensorView y) {
    contracts::add(x, y);
    parallel_for("add", x.rows, [=](std::size_t t) {
        float* const sum = x.row<float>(t);
        float const* const term = y.row<float>(t);
        for (std::size_t c = 0; c < x.cols; ++c) sum[c] += term[c];
    });
}

void KokkosBackend::add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) {
    contracts::add_scaled(x, y, scale);
    if (x.size() == 0) return;
    std::vector<float> widened(scale.cols);
    kernels_->widen(scale.dtype, scale.data, widened.data(), widened.size());
    parallel_for("add_scaled", x.rows, [=, factors = widened.data()](std::size_t t) {
        float* const sum = x.row<float>(t);
        float const* const term = y.row<float>(t);
        for (std::size_t c = 0; c < x.cols; ++c) sum[c] += term[c] * factors[c];
    });
}

void KokkosBackend::gather_rows(ConstTensorView x, std::span<std::size_t const> rows,
                                TensorView y) {
    contracts::gather_rows(x, rows, y);
    parallel_for("gather_rows", rows.size(), [=](std::size_t i) {
        std::copy_n(x.row<float>(rows[i]), x.cols, y.row<float>(i));
    });
}

void KokkosBackend::round(ConstTensorView x, TensorView y) {
    contracts::round(x, y);
    parallel_for("round", x.rows, [=](std::size_t t) {
        float const* const from = x.row<float>(t);
        BFloat16* const to = y.row<BFloat16>(t);
        for (std::size_t c = 0; c < x.cols; ++c) to[c] = from_float<BFloat16>(from[c]);
    });
}

}  // namespace tesserank::kernels::kokkos
