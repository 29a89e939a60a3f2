#include "kernels/contracts.hpp"
#include "kernels/kokkos/isa/exponential.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tesserank::kernels::kokkos {
namespace {

/// 1 / (1 + e^-x)
float logistic(float x) { return 1.0F / (1.0F + isa::exponential<isa::Scalar>(-x)); }

struct Silu {
    static float apply(float x) { return x * logistic(x); }
};

/// The share of the normal distribution below -a, for 0 <= a <= 14, within 4e-7 of itself: e^(-a^2
/// / 2) times a function that changes little. The polynomial is that function times 1 + a / 2,
/// interpolated at the Chebyshev nodes of s.
/// Source of the split: Shepherd and Laframboise 1981, Mathematics of Computation 36, p. 249
float normal_tail(float a) {
    float const s = (a - 4.0F) / (a + 4.0F);
    float poly = 2.60697794e-4F * s + 1.31745175e-4F;
    poly = poly * s - 2.25766662e-3F;
    poly = poly * s + 4.73323826e-3F;
    poly = poly * s - 6.64652045e-4F;
    poly = poly * s - 2.15547374e-2F;
    poly = poly * s + 6.91893985e-2F;
    poly = poly * s - 1.33550561e-1F;
    poly = poly * s + 2.83231923e-1F;
    // What rounding the square leaves out is small, but not beside 1: e^rest = 1 + rest.
    double const square = static_cast<double>(a) * static_cast<double>(a);
    auto const rounded = static_cast<float>(square);
    auto const rest = static_cast<float>(square - static_cast<double>(rounded));
    float const density = isa::exponential<isa::Scalar>(-0.5F * rounded) * (1.0F - 0.5F * rest);
    return density * poly / (1.0F + 0.5F * a);
}

struct Gelu {
    static float apply(float x) {
        float const tail = normal_tail(std::min(std::abs(x), 14.0F));
        return x * (x < 0.0F ? tail : 1.0F - tail);
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
void activate(ConstTensorView const& x, TensorView const& y) {
    visit_activations(x.dtype, y.dtype, [&]<class From, class To>(From, To) {
        parallel_for("activation", x.rows, [=](std::size_t t) {
            From const* const from = x.row<From>(t);
            To* const to = y.row<To>(t);
            for (std::size_t i = 0; i < x.cols; ++i) {
                to[i] = from_float<To>(Function::apply(to_float(from[i])));
            }
        });
    });
}

template <class Function>
void activate_gate(ConstTensorView const& gate, ConstTensorView const& up, TensorView const& y) {
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

void KokkosBackend::activation(Activation kind, ConstTensorView x, TensorView y) {
    contracts::activation(x, y);
    switch (kind) {
        case Activation::silu:
            return activate<Silu>(x, y);
        case Activation::gelu:
            return activate<Gelu>(x, y);
        case Activation::gelu_tanh:
            return activate<GeluTanh>(x, y);
    }
}

void KokkosBackend::gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                                     TensorView y) {
    contracts::gated_activation(gate, up, y);
    switch (kind) {
        case Activation::silu:
            return activate_gate<Silu>(gate, up, y);
        case Activation::gelu:
            return activate_gate<Gelu>(gate, up, y);
        case Activation::gelu_tanh:
            return activate_gate<GeluTanh>(gate, up, y);
    }
}

}  // namespace tesserank::kernels::kokkos
