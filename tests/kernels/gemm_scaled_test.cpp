#include "tests/kernels/backend_test.hpp"
#include "tests/kernels/quantised.hpp"

namespace tesserank::kernels {
namespace {

class GemmScaledTest : public BackendTest {
  protected:
    struct Case {
        std::size_t tokens, depth, rows;
        DType x, bias, y;
        std::size_t distance = 0;  ///< of the rows of w; x is aligned if this is a multiple of 16
    };

    Matrix magnitudes(ConstTensorView const& of) {
        Matrix result(of.rows, of.cols);
        std::vector<float> row(of.cols);
        for (std::size_t r = 0; r < of.rows; ++r) {
            load_row(of, r, row);
            for (float& value : row) value = std::abs(value);
            store_row(row, result.view(), r);
        }
        return result;
    }

    void compare(Case const& c) {
        SCOPED_TRACE(::testing::Message() << c.tokens << " x " << c.depth << " x " << c.rows << ", "
                                          << name_of(c.x) << " to " << name_of(c.y));
        bool const aligned = c.distance % 16 == 0;
        Matrix const wide_x = random(c.tokens, c.depth + (aligned ? 8 - Matrix::gap : 0), c.x);
        ConstTensorView const x = wide_x.view().cols_from(0, c.depth);
        Matrix const w = random(c.rows, c.depth, DType::bf16);
        Matrix const bias = random(1, c.rows, c.bias);
        Quantised w8(c.rows, c.depth, c.distance);
        backend->quantise_rows(w.view(), w8.view(), w8.scales());
        Matrix y = random(c.tokens, c.rows, c.y);
        Matrix expected(c.tokens, c.rows);
        backend->gemm_scaled(x, w8.view(), w8.scales(), bias.view(), y.view());
        reference->gemm_scaled(x, w8.view(), w8.scales(), bias.view(), expected.view());
        // Where x is quantised as well each term is off by up to half a unit of 3 bits, besides
        // what rows' smallest elements lose.
        Matrix terms(c.tokens, c.rows);
        Matrix const all_x = magnitudes(x);
        Matrix const all_w = magnitudes(w.view());
        reference->gemm(all_x.view(), all_w.view(), {}, terms.view());
        bool const quantised = c.tokens > 16 && c.x == DType::bf16;
        for (std::size_t t = 0; t < c.tokens; ++t) {
            for (std::size_t n = 0; n < c.rows; ++n) {
                float const want = expected.at(t, n);
                float const bound = 2 * unit_roundoff(c.y) * std::abs(want) +
                                    terms.at(t, n) * (quantised ? 0x1p-4F : 0x1p-20F) + 0x1p-20F;
                ASSERT_NEAR(y.at(t, n), want, bound) << "token " << t << ", row " << n;
            }
        }
        EXPECT_TRUE(y.gaps_untouched());
    }
};

TEST_P(GemmScaledTest, QuantisesToHandCheckedNumbers) {
    Matrix w(3, 4);
    float const values[] = {-896.0F, 448.0F, 1.0F, 34.0F};
    for (std::size_t k = 0; k < 4; ++k) w.set(0, k, values[k]);
    w.set(2, 1, INFINITY);
    Quantised w8(3, 4, 5);
    backend->quantise_rows(w.view(), w8.view(), w8.scales());
    EXPECT_EQ(w8.scale(0), 2.0F);
    EXPECT_EQ(w8.bits(0, 0), 0xFE);  // -448
    EXPECT_EQ(w8.bits(0, 1), 0x76);  // 224
    EXPECT_EQ(w8.bits(0, 2), 0x30);  // 0.5
    EXPECT_EQ(w8.bits(0, 3), 0x58);  // 17 lies between 16 and 18: the even one
    EXPECT_EQ(w8.scale(1), 1.0F);
    EXPECT_EQ(w8.bits(1, 0), 0x00);
    EXPECT_TRUE(std::isnan(w8.scale(2)));
}

TEST_P(GemmScaledTest, QuantisesLikeReference) {
    struct Shape {
        std::size_t cols, distance, wide;
    };
    // Odd rows, and aligned ones of more columns than the threads of a block take at once.
    for (auto const [cols, distance, wide] : {Shape{777, 2, 777}, Shape{2312, 8, 2317}}) {
        for (DType const dtype : all_dtypes) {
            Matrix const all = random(5, wide, dtype, 3.0F);
            auto const w = all.view().cols_from(0, cols);
            Quantised actual(5, cols, distance);
            Quantised expected(5, cols, distance);
            backend->quantise_rows(w, actual.view(), actual.scales());
            reference->quantise_rows(w, expected.view(), expected.scales());
            for (std::size_t n = 0; n < 5; ++n) {
                ASSERT_EQ(actual.scale(n), expected.scale(n));
                for (std::size_t k = 0; k < cols; ++k) {
                    ASSERT_EQ(actual.bits(n, k), expected.bits(n, k));
                }
            }
        }
    }
}

TEST_P(GemmScaledTest, GivesHandCheckedNumbers) {
    Matrix w(2, 2);
    w.set(0, 0, 896.0F);
    w.set(0, 1, -2.0F);
    w.set(1, 1, 7.0F);
    Quantised w8(2, 2, 0);
    backend->quantise_rows(w.view(), w8.view(), w8.scales());
    Matrix x(1, 2);
    x.set(0, 0, 0.5F);
    x.set(0, 1, 3.0F);
    Matrix bias(1, 2);
    bias.set(0, 1, 0.25F);
    Matrix y(1, 2);
    backend->gemm_scaled(x.view(), w8.view(), w8.scales(), bias.view(), y.view());
    EXPECT_EQ(y.at(0, 0), 442.0F);
    EXPECT_FLOAT_EQ(y.at(0, 1), 21.25F);
}

TEST_P(GemmScaledTest, AgreesWithReference) {
    for (DType const x : activation_dtypes) {
        for (DType const y : activation_dtypes) {
            for (std::size_t const tokens : Sizes{1, 3, 8, 9, 16, 17, 40}) {
                compare({tokens, 208, 48, x, DType::bf16, y, 16});
                compare({tokens, 83, 21, x, DType::f32, y, 1});
            }
        }
    }
}

/// Also where rows follow each other as the rows of a norm do. cuBLASLt wants all of them aligned.
TEST_P(GemmScaledTest, RowsThatAreQuantisedAlreadyGiveTheSame) {
    constexpr std::size_t to_alignment = 16 - Matrix::gap;
    for (DType const dtype : {DType::bf16, DType::f32}) {
        for (std::size_t const tokens : Sizes{16, 17, 40}) {
            SCOPED_TRACE(::testing::Message() << tokens << " to " << name_of(dtype));
            Matrix const x = random(tokens, 208 + to_alignment, DType::bf16);
            Matrix const w = random(48, 208), bias = random(1, 48, DType::bf16);
            Quantised w8(48, 208, 16), x8(tokens, 208, 0);
            auto const rows = x.view().cols_from(0, 208);
            backend->quantise_rows(w.view(), w8.view(), w8.scales());
            backend->quantise_rows(rows, x8.view(), x8.scales());
            Matrix y(tokens, 48 + to_alignment, dtype), scaled = y, expected = y;
            auto const part = [](Matrix& of) { return of.view().cols_from(0, 48); };
            bool const quantises =
                backend->quantises(x8.rows(), w8.view(), w8.scales(), bias.view(), part(y));
            EXPECT_EQ(quantises, quantises_activations() && tokens > 16);
            if (backend->name() == "cuda" && !quantises) {
                EXPECT_THROW(backend->gemm_quantised(x8.rows(), w8.view(), w8.scales(), bias.view(),
                                                     part(y)),
                             LogicError);
                continue;
            }
            backend->gemm_quantised(x8.rows(), w8.view(), w8.scales(), bias.view(), part(y));
            reference->gemm_quantised(x8.rows(), w8.view(), w8.scales(), bias.view(),
                                      part(expected));
            // Of 208 products near 1: Hopper cuts sums of fp8 products off behind about 14 bits,
            // after every 32 of them. Source: DeepSeek-V3, 3.3.2, https://arxiv.org/abs/2412.19437;
            // an H100 was 0.013 off.
            float const absolute = keeps_whole_sums() ? 0x1p-14F : 208 * 0x1p-13F;
            expect_close(y, expected, {.relative = 2 * unit_roundoff(dtype), .absolute = absolute});
            if (!quantises) continue;
            backend->gemm_scaled(rows, w8.view(), w8.scales(), bias.view(), part(scaled));
            expect_close(y, scaled, {});
        }
    }
}

TEST_P(GemmScaledTest, StreamsAlignedRowsOfAnyDepth) {
    for (std::size_t const depth : Sizes{16, 48, 64, 1040, 4096, 4112, 8208}) {
        compare({1, depth, 17, DType::bf16, DType::f32, DType::f32, 16});
        compare({11, depth, 16, DType::bf16, DType::bf16, DType::f32, 0});
    }
}

TEST_P(GemmScaledTest, StreamsTwoTilesOfRows) {
    for (std::size_t const tokens : Sizes{5, 8, 16}) {
        compare({tokens, 2064, 160, DType::bf16, DType::f32, DType::f32, 16});
        compare({tokens, 4112, 183, DType::bf16, DType::bf16, DType::bf16, 0});
    }
}

TEST_P(GemmScaledTest, AnInfiniteWeightSpoilsItsRowOnly) {
    Matrix w = random(3, 64);
    w.set(1, 7, INFINITY);
    Quantised w8(3, 64, 16);
    backend->quantise_rows(w.view(), w8.view(), w8.scales());
    for (std::size_t const tokens : Sizes{1, 20}) {
        Matrix const x = random(tokens, 64 + 8 - Matrix::gap, DType::bf16);
        Matrix y(tokens, 3);
        backend->gemm_scaled(x.view().cols_from(0, 64), w8.view(), w8.scales(), {}, y.view());
        for (std::size_t t = 0; t < tokens; ++t) {
            EXPECT_TRUE(std::isfinite(y.at(t, 0)));
            EXPECT_TRUE(std::isnan(y.at(t, 1)));
            EXPECT_TRUE(std::isfinite(y.at(t, 2)));
        }
    }
}

TEST_P(GemmScaledTest, EmptyShapesGiveNothingOrTheBias) {
    for (std::size_t const tokens : Sizes{0, 2, 50}) {
        compare({tokens, 0, 5, DType::bf16, DType::bf16, DType::f32, 16});
        compare({tokens, 16, 0, DType::bf16, DType::bf16, DType::bf16, 16});
    }
}

TEST_P(GemmScaledTest, RefusesOtherWeightsAndShapes) {
    Matrix x(2, 3);
    Matrix w(4, 3);
    Matrix y(2, 4);
    Matrix short_scales(1, 3);
    Quantised w8(4, 3, 0);
    EXPECT_THROW(backend->gemm_scaled(x.view(), w.view(), w8.scales(), {}, y.view()), LogicError);
    EXPECT_THROW(backend->gemm_scaled(x.view(), w8.view(), short_scales.view(), {}, y.view()),
                 LogicError);
    EXPECT_THROW(backend->quantise_rows(w8.view(), w8.view(), w8.scales()), LogicError);
    EXPECT_THROW(backend->quantise_rows(x.view(), w8.view(), w8.scales()), LogicError);
    EXPECT_THROW(backend->gemm(x.view(), w8.view(), {}, y.view()), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, GemmScaledTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
