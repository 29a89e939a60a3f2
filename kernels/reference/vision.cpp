#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <vector>

namespace tesserank::kernels::reference {

void ReferenceBackend::cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) {
    contracts::cut_patches(pixels, shape, y);
    std::size_t const down = shape.height / shape.patch, across = shape.width / shape.patch;
    for (std::size_t row = 0; row < y.rows; ++row) {
        std::size_t const picture = row / (down * across);
        std::size_t const top = row / across % down * shape.patch;
        std::size_t const left = row % across * shape.patch;
        std::vector<float> patch;
        for (std::size_t channel = 0; channel < shape.channels; ++channel) {
            float const* const plane = pixels.row<float>(picture * shape.channels + channel);
            for (std::size_t i = top; i < top + shape.patch; ++i) {
                for (std::size_t j = left; j < left + shape.patch; ++j) {
                    patch.push_back(plane[i * shape.width + j]);
                }
            }
        }
        store_row(patch, y, row);
    }
}

void ReferenceBackend::add_positions(ConstTensorView patches, ConstTensorView class_token,
                                     ConstTensorView positions, TensorView y) {
    contracts::add_positions(patches, class_token, positions, y);
    std::vector<float> token(y.cols), position(y.cols);
    for (std::size_t row = 0, patch = 0; row < y.rows; ++row) {
        std::size_t const place = row % positions.rows;
        if (place == 0) {
            load_row(class_token, 0, token);
        } else {
            load_row(patches, patch++, token);
        }
        load_row(positions, place, position);
        for (std::size_t c = 0; c < y.cols; ++c) token[c] += position[c];
        store_row(token, y, row);
    }
}

void ReferenceBackend::pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) {
    contracts::pixel_shuffle(x, shape, y);
    std::size_t const down = shape.height / shape.factor, across = shape.width / shape.factor;
    for (std::size_t row = 0; row < y.rows; ++row) {
        std::size_t const grid = row / (down * across), square = row % (down * across);
        std::size_t const i = shape.by_columns ? square % down : square / across;
        std::size_t const j = shape.by_columns ? square / down : square % across;
        std::vector<float> token;
        for (std::size_t a = i * shape.factor; a < (i + 1) * shape.factor; ++a) {
            for (std::size_t b = j * shape.factor; b < (j + 1) * shape.factor; ++b) {
                float const* const part = x.row<float>((grid * shape.height + a) * shape.width + b);
                token.insert(token.end(), part, part + x.cols);
            }
        }
        store_row(token, y, row);
    }
}

}  // namespace tesserank::kernels::reference
