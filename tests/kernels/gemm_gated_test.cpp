#include "tests/kernels/backend_test.hpp"
#include "tests/kernels/quantised.hpp"

namespace tesserank::kernels {
namespace {

class GemmGatedTest : public BackendTest {
  protected:
    struct Case {
        std::size_t tokens, depth, columns;
        DType w = DType::bf16, between = DType::bf16, y = DType::bf16;
        Activation kind = Activation::silu;
        bool with_bias = false;
        DType x = DType::bf16;
        bool aligned = true;
    };

    /// Rows of these matrices begin at multiples of 16 bytes, if they are 8 n columns of bf16.
    static constexpr std::size_t to_alignment = 8 - Matrix::gap;

    /// A GPU makes these in one kernel.
    bool is_one(Case const& c) const {
        return backend->name() == "cuda" && c.aligned && c.tokens <= 16 && c.x == DType::bf16 &&
               c.depth > 0;
    }

    void compare(Case const& c) {
        SCOPED_TRACE(::testing::Message()
                     << c.tokens << " x " << c.depth << " x 2 * " << c.columns << ", "
                     << name_of(c.w) << " to " << name_of(c.between) << " to " << name_of(c.y)
                     << (c.with_bias ? " with bias" : "") << ", activation "
                     << static_cast<int>(c.kind));
        Matrix const wide_x = random(c.tokens, c.depth + to_alignment, c.x);
        ConstTensorView const x = wide_x.view().cols_from(c.aligned ? 0 : 1, c.depth);
        Matrix const wide_w =
            random(2 * c.columns, c.depth + to_alignment, DType::bf16,
                   3.0F / std::sqrt(static_cast<float>(std::max(c.depth, std::size_t{1}))));
        Matrix const bias = random(1, 2 * c.columns, DType::f32);
        Quantised w8(2 * c.columns, c.depth, c.aligned ? 16 : 1);
        GateUpWeights weights{wide_w.view().cols_from(0, c.depth), {}, {}};
        if (c.w == DType::f8e4m3) {
            backend->quantise_rows(weights.w, w8.view(), w8.scales());
            backend->synchronize();
            weights = {w8.view(), w8.scales(), {}};
        }
        if (c.with_bias) weights.bias = bias.view();

        Matrix both = random(c.tokens, 2 * c.columns, c.between), y(c.tokens, c.columns, c.y);
        Matrix const before = both;
        backend->gemm_gated(c.kind, x, weights, both.view(), y.view());
        if (is_one(c)) expect_close(both, before, {});

        Matrix expected(c.tokens, c.columns, c.y);
        if (c.w == DType::f8e4m3) {
            backend->gemm_scaled(x, weights.w, weights.scales, weights.bias, both.view());
        } else {
            backend->gemm(x, weights.w, weights.bias, both.view());
        }
        backend->gated_activation(c.kind, both.view().cols_from(0, c.columns),
                                  both.view().cols_from(c.columns, c.columns), expected.view());
        expect_close(y, expected, {});
    }
};

TEST_P(GemmGatedTest, GivesHandCheckedNumbers) {
    Matrix x(1, 2), w(4, 2), bias(1, 4), both(1, 4), y(1, 2);
    x.set(0, 0, 1.0F);
    x.set(0, 1, -2.0F);
    w.set(0, 0, 1.0F);  // gate: 1, -2
    w.set(1, 1, 1.0F);
    w.set(2, 0, 3.0F);  // up: 3, 1 + 4
    w.set(3, 0, 1.0F);
    bias.set(0, 3, 4.0F);
    backend->gemm_gated(Activation::silu, x.view(), {w.view(), {}, bias.view()}, both.view(),
                        y.view());
    EXPECT_NEAR(y.at(0, 0), 3.0F * 0.7310586F, 1e-6F);
    EXPECT_NEAR(y.at(0, 1), -5.0F * 0.2384058F, 1e-6F);
}

TEST_P(GemmGatedTest, GivesTheBitsOfItsTwoSteps) {
    for (DType const w : {DType::bf16, DType::f8e4m3}) {
        for (DType const between : activation_dtypes) {
            for (DType const y : activation_dtypes) {
                for (Activation const kind :
                     {Activation::silu, Activation::gelu, Activation::gelu_tanh}) {
                    compare({1, 144, 40, w, between, y, kind, false});
                    compare({11, 144, 23, w, between, y, kind, true});
                }
            }
        }
    }
}

TEST_P(GemmGatedTest, GivesThemForAnyNumberOfTokensAndColumns) {
    for (DType const w : {DType::bf16, DType::f8e4m3}) {
        for (std::size_t tokens = 1; tokens <= 17; ++tokens) {
            compare({.tokens = tokens, .depth = 80, .columns = 17, .w = w});
        }
        for (std::size_t const columns : Sizes{1, 7, 8, 9, 15, 16, 31, 32, 33, 200}) {
            compare({.tokens = 2, .depth = 80, .columns = columns, .w = w, .with_bias = true});
            compare({.tokens = 9, .depth = 80, .columns = columns, .w = w});
        }
    }
}

/// Around where CUDA has one, two and more rounds of loads under way.
TEST_P(GemmGatedTest, GivesThemAtAnyDepth) {
    for (std::size_t const depth : Sizes{16, 48, 64, 528, 1024, 1040, 2048, 2064, 4176}) {
        for (DType const w : {DType::bf16, DType::f8e4m3}) {
            compare({.tokens = 1, .depth = depth, .columns = 18, .w = w});
            compare({.tokens = 13, .depth = depth, .columns = 18, .w = w, .with_bias = true});
        }
    }
    compare({.tokens = 3, .depth = 1032, .columns = 18});
}

TEST_P(GemmGatedTest, TakesWhatMustBeDoneInTwoSteps) {
    for (DType const w : {DType::bf16, DType::f8e4m3}) {
        compare({.tokens = 3, .depth = 80, .columns = 18, .w = w, .x = DType::f32});
        compare({.tokens = 3, .depth = 83, .columns = 18, .w = w, .aligned = false});
        compare({.tokens = 40, .depth = 80, .columns = 18, .w = w, .with_bias = true});
        compare({.tokens = 2, .depth = 0, .columns = 18, .w = w, .with_bias = true});
        compare({.tokens = 0, .depth = 80, .columns = 18, .w = w});
        compare({.tokens = 2, .depth = 80, .columns = 0, .w = w});
    }
}

TEST_P(GemmGatedTest, RefusesShapesThatDoNotFit) {
    Matrix const x(2, 3), w(8, 3);
    Matrix both(2, 8), y(2, 4), wide(2, 5);
    auto const call = [&](GateUpWeights const& weights, Matrix& between, Matrix& result) {
        backend->gemm_gated(Activation::silu, x.view(), weights, between.view(), result.view());
    };
    EXPECT_THROW(call({w.view(), {}, {}}, both, wide), LogicError);
    EXPECT_THROW(call({w.view(), {}, {}}, wide, y), LogicError);
    EXPECT_THROW(call({w.view(), {}, wide.view().rows_from(0, 1)}, both, y), LogicError);
    EXPECT_THROW(call({w.view(), x.view(), {}}, both, y), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, GemmGatedTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
