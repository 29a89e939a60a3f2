#include "kernels/contracts.hpp"
#include "kernels/kokkos/isa/exponential.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <cmath>
#include <numbers>

namespace tesserank::kernels::kokkos {
namespace {

/// 1 / (1 + e^-x)
float logistic(float x) { return 1.0F / (1.0F + isa::exponential<isa::Scalar>(-x)); }

struct Silu {
    static float apply(float x) { return x * logistic(x); }
};

struct Gelu {
    static float apply(float x) {
        return 0.5F * x * (1.0F + std::erf(x * (std::numbers::sqrt2_v<float> / 2.0F)));
    }
};

struct GeluTanh {
    /// (1 + tanh u) / 2 is the logistic function of 2u.
    static float apply(float x) {
        constexpr float factor =
            2.0F * std::numbers::sqrt2_v<float> * std::numbers::inv_sqrtpi_v<float>;
        return x * logistic(factor * (x + 0.044715F * x * x * x));
    }
};

template <class Function>
void activate(ConstTensorView const& gate, ConstTensorView const& up, TensorView const& y) {
    visit_dtype(y.dtype, [&]<class Element>(Element) {
        parallel_for("gated_activation", gate.rows, [=](std::size_t t) {
            float const* const from = gate.row<float>(t);
            float const* const factor = up.row<float>(t);
            Element* const to = y.row<Element>(t);
            for (std::size_t i = 0; i < gate.cols; ++i) {
                to[i] = from_float<Element>(Function::apply(from[i]) * factor[i]);
            }
        });
    });
}

}  // namespace

void KokkosBackend::gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                                     TensorView y) {
    contracts::gated_activation(gate, up, y);
    switch (kind) {
        case Activation::silu:
            return activate<Silu>(gate, up, y);
        case Activation::gelu:
            return activate<Gelu>(gate, up, y);
        case Activation::gelu_tanh:
            return activate<GeluTanh>(gate, up, y);
    }
}

}  // namespace tesserank::kernels::kokkos
