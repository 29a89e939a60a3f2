#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"
#include "kernels/rows.hpp"

#include <span>

namespace tesserank::kernels::kokkos {
namespace {

/// Writes `count` floats to columns of one row of y.
void store_part(float const* from, std::size_t count, TensorView const& y, std::size_t row,
                std::size_t column) {
    visit_dtype(y.dtype, [&]<class Element>(Element) {
        Element* const to = y.row<Element>(row) + column;
        for (std::size_t c = 0; c < count; ++c) to[c] = from_float<Element>(from[c]);
    });
}

}  // namespace

void KokkosBackend::cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) {
    contracts::cut_patches(pixels, shape, y);
    std::size_t const down = shape.height / shape.patch, across = shape.width / shape.patch;
    parallel_for("cut_patches", y.rows, [=](std::size_t row) {
        std::size_t const first_plane = row / (down * across) * shape.channels;
        std::size_t const top = row / across % down * shape.patch;
        std::size_t const left = row % across * shape.patch;
        std::size_t column = 0;
        for (std::size_t channel = 0; channel < shape.channels; ++channel) {
            float const* const plane = pixels.row<float>(first_plane + channel);
            for (std::size_t i = top; i < top + shape.patch; ++i, column += shape.patch) {
                store_part(plane + i * shape.width + left, shape.patch, y, row, column);
            }
        }
    });
}

void KokkosBackend::add_positions(ConstTensorView patches, ConstTensorView class_token,
                                  ConstTensorView positions, TensorView y) {
    contracts::add_positions(patches, class_token, positions, y);
    std::size_t const places = positions.rows;
    parallel_for("add_positions", y.rows, [=](std::size_t row) {
        std::size_t const picture = row / places, place = row % places;
        auto const token =
            place == 0 ? class_token : patches.rows_from(picture * (places - 1) + place - 1, 1);
        std::span<float> const sum(y.row<float>(row), y.cols);
        load_row(token, 0, sum);
        visit_dtype(positions.dtype, [&]<class Element>(Element) {
            Element const* const position = positions.row<Element>(place);
            for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += to_float(position[c]);
        });
    });
}

void KokkosBackend::pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) {
    contracts::pixel_shuffle(x, shape, y);
    std::size_t const down = shape.height / shape.factor, across = shape.width / shape.factor;
    parallel_for("pixel_shuffle", y.rows, [=](std::size_t row) {
        std::size_t const grid = row / (down * across), square = row % (down * across);
        std::size_t const i = shape.by_columns ? square % down : square / across;
        std::size_t const j = shape.by_columns ? square / down : square % across;
        for (std::size_t part = 0; part < shape.factor * shape.factor; ++part) {
            std::size_t const a = i * shape.factor + part / shape.factor;
            std::size_t const b = j * shape.factor + part % shape.factor;
            store_part(x.row<float>((grid * shape.height + a) * shape.width + b), x.cols, y, row,
                       part * x.cols);
        }
    });
}

}  // namespace tesserank::kernels::kokkos
