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

/// Calls `visitor` with values of the C++ types of two activations: f32 or bf16 each.
template <class Visitor>
void visit_activations(DType a, DType b, Visitor const& visitor) {
    bool const second = b == DType::bf16;
    if (a == DType::bf16)
        return second ? visitor(BFloat16{}, BFloat16{}) : visitor(BFloat16{}, 0.0F);
    return second ? visitor(0.0F, BFloat16{}) : visitor(0.0F, 0.0F);
}

template <class Function>
void activate(ConstTensorView const& gate, ConstTensorView const& up, TensorView const& y) {
    visit_activations(gate.dtype, y.dtype, [&]<class From, class To>(From, To) {
        parallel_for("gated_activation", gate.rows, [=](std::size_t t) {
            From const* const from = gate.row<From>(t);
            From const* const factor = up.row<From>(t);
            To* const to = y.row<To>(t);
            for (std::size_t i = 0; i < gate.cols; ++i) {
                to[i] = from_float<To>(Function::apply(to_float(from[i])) * to_float(factor[i]));
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
