#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <cmath>
#include <numbers>
#include <vector>

namespace tesserank::kernels::reference {
namespace {

double activate(Activation kind, double x) {
    switch (kind) {
        case Activation::silu:
            return x / (1.0 + std::exp(-x));
        case Activation::gelu:
            return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
        case Activation::gelu_tanh:
            break;
    }
    double const inner =
        std::numbers::sqrt2 * std::numbers::inv_sqrtpi * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1.0 + std::tanh(inner));
}

}  // namespace

void ReferenceBackend::activation(Activation kind, ConstTensorView x, TensorView y) {
    contracts::activation(x, y);
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        for (float& value : row) {
            value = static_cast<float>(activate(kind, static_cast<double>(value)));
        }
        store_row(row, y, t);
    }
}

void ReferenceBackend::gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                                        TensorView y) {
    contracts::gated_activation(gate, up, y);
    std::vector<float> row(gate.cols);
    std::vector<float> factor(up.cols);
    for (std::size_t t = 0; t < gate.rows; ++t) {
        load_row(gate, t, row);
        load_row(up, t, factor);
        for (std::size_t i = 0; i < gate.cols; ++i) {
            row[i] = static_cast<float>(activate(kind, static_cast<double>(row[i])) *
                                        static_cast<double>(factor[i]));
        }
        store_row(row, y, t);
    }
}

}  // namespace tesserank::kernels::reference
