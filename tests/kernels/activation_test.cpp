#include "tests/kernels/backend_test.hpp"

namespace tesserank::kernels {
namespace {

class ActivationTest : public BackendTest {
  protected:
    static constexpr Activation kinds[] = {Activation::silu, Activation::gelu,
                                           Activation::gelu_tanh};

    float apply(Activation kind, float x) {
        Matrix y(1, 1);
        y.set(0, 0, x);
        backend->activation(kind, y.view(), y.view());
        return y.at(0, 0);
    }
};

/// The numbers are those of torch.nn.functional: silu, gelu, gelu(approximate="tanh").
TEST_P(ActivationTest, GivesKnownNumbers) {
    EXPECT_NEAR(apply(Activation::silu, 1.0F), 0.7310586F, 1e-6F);
    EXPECT_NEAR(apply(Activation::silu, -2.0F), -0.2384058F, 1e-6F);
    EXPECT_NEAR(apply(Activation::gelu, 1.0F), 0.8413447F, 1e-6F);
    EXPECT_NEAR(apply(Activation::gelu, -2.0F), -0.0455003F, 1e-6F);
    EXPECT_NEAR(apply(Activation::gelu_tanh, 1.0F), 0.8411920F, 1e-6F);
    EXPECT_NEAR(apply(Activation::gelu_tanh, -2.0F), -0.0454023F, 1e-6F);
}

TEST_P(ActivationTest, GoesToZeroAndToXFarOut) {
    for (Activation const kind : kinds) {
        EXPECT_EQ(apply(kind, 0.0F), 0.0F);
        for (float const x : {30.0F, 100.0F, 1e4F}) {
            EXPECT_FLOAT_EQ(apply(kind, x), x);
            EXPECT_NEAR(apply(kind, -x), 0.0F, 1e-11F);
        }
        EXPECT_TRUE(std::isnan(apply(kind, NAN)));
    }
}

TEST_P(ActivationTest, AgreesWithReference) {
    for (Activation const kind : kinds) {
        for (DType const y_type : activation_dtypes) {
            for (std::size_t const cols : Sizes{0, 1, 15, 16, 17, 301}) {
                Matrix const gate = random(4, cols, DType::f32, 4.0F);
                Matrix const up = random(4, cols);
                Matrix y(4, cols, y_type);
                Matrix expected(4, cols, y_type);
                backend->gated_activation(kind, gate.view(), up.view(), y.view());
                reference->gated_activation(kind, gate.view(), up.view(), expected.view());
                // 1 + tanh cancels where it is small, so that the error is that of 1. A bf16 result
                // may be rounded to the other neighbour.
                Tolerance tolerance{.relative = 16 * unit_roundoff(DType::f32),
                                    .absolute = 64 * unit_roundoff(DType::f32)};
                if (y_type == DType::bf16) tolerance.relative = 2 * unit_roundoff(y_type);
                expect_close(y, expected, tolerance);
                Matrix const low_gate = random(4, cols, DType::bf16, 4.0F);
                Matrix const low_up = random(4, cols, DType::bf16);
                backend->gated_activation(kind, low_gate.view(), low_up.view(), y.view());
                reference->gated_activation(kind, low_gate.view(), low_up.view(), expected.view());
                expect_close(y, expected, tolerance);
            }
        }
    }
}

TEST_P(ActivationTest, WithoutAGateAgreesWithReference) {
    for (Activation const kind : kinds) {
        for (DType const x_type : activation_dtypes) {
            for (DType const y_type : activation_dtypes) {
                for (std::size_t const cols : Sizes{0, 1, 15, 16, 17, 301}) {
                    Matrix const x = random(4, cols, x_type, 4.0F);
                    Matrix y(4, cols, y_type), expected(4, cols, y_type);
                    backend->activation(kind, x.view(), y.view());
                    reference->activation(kind, x.view(), expected.view());
                    // As above.
                    expect_close(y, expected,
                                 {.relative = y_type == DType::bf16 ? 2 * unit_roundoff(y_type)
                                                                    : 16 * unit_roundoff(y_type),
                                  .absolute = 64 * unit_roundoff(DType::f32)});
                }
            }
        }
    }
}

/// Rows without gaps that begin at multiples of 16 bytes.
TEST_P(ActivationTest, AlignedRowsGiveTheNumbersOfOthers) {
    constexpr std::size_t cols = 64 - Matrix::gap;
    Matrix const x = random(4, cols);
    Matrix y(4, cols), wide(4, cols);
    auto const aligned = [](auto view) { return view.cols_from(0, 60); };
    auto const odd = [](auto view) { return view.cols_from(1, 59); };
    for (Activation const kind : kinds) {
        backend->activation(kind, aligned(x.view()), aligned(wide.view()));
        backend->activation(kind, odd(x.view()), odd(y.view()));
        for (std::size_t r = 0; r < 4; ++r) {
            for (std::size_t c = 1; c < 60; ++c) EXPECT_EQ(wide.at(r, c), y.at(r, c)) << c;
        }
    }
}

/// Down to where results are no normal numbers any more.
TEST_P(ActivationTest, TheExactGeluKeepsItsDigitsInTheTail) {
    constexpr std::size_t steps = 26'000;
    Matrix x(1, steps + 1), y(1, steps + 1);
    for (std::size_t i = 0; i <= steps; ++i) {
        x.set(0, i, static_cast<float>(i) * 0.001F - 12.9F);
    }
    backend->activation(Activation::gelu, x.view(), y.view());
    for (std::size_t i = 0; i <= steps; ++i) {
        double const at = double{x.at(0, i)};
        double const expected = 0.5 * at * std::erfc(-at / std::sqrt(2.0));
        ASSERT_NEAR(double{y.at(0, i)}, expected, 1e-6 * std::abs(expected)) << at;
    }
}

TEST_P(ActivationTest, YMayBeGate) {
    for (Activation const kind : kinds) {
        Matrix gate = random(3, 29);
        Matrix const up = random(3, 29);
        Matrix expected(3, 29);
        backend->gated_activation(kind, gate.view(), up.view(), expected.view());
        backend->gated_activation(kind, gate.view(), up.view(), gate.view());
        expect_close(gate, expected, {});
    }
}

TEST_P(ActivationTest, RefusesPartsThatDiffer) {
    Matrix const gate = random(3, 8), up = random(3, 8, DType::bf16), narrow = random(3, 7);
    Matrix y(3, 8);
    auto const call = [&](Matrix const& other) {
        backend->gated_activation(Activation::silu, gate.view(), other.view(), y.view());
    };
    EXPECT_THROW(backend->activation(Activation::silu, narrow.view(), y.view()), LogicError);
    EXPECT_THROW(call(up), LogicError);
    EXPECT_THROW(call(narrow), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, ActivationTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
