#include "tests/kernels/backend_test.hpp"
#include "tests/kernels/quantised.hpp"

#include <bit>
#include <cstdint>
#include <functional>

namespace tesserank::kernels {
namespace {

class NormTest : public BackendTest {
  protected:
    /// Sums of H squares have a relative error of H u at most; the root halves it, and a few more
    /// roundings follow. A bf16 result may be rounded to the other neighbour.
    static Tolerance tolerance(std::size_t width, DType y) {
        float const sum = (static_cast<float>(width) + 8) * unit_roundoff(DType::f32);
        return {.relative = sum + (y == DType::bf16 ? 2 * unit_roundoff(DType::bf16) : 0.0F),
                .absolute = 2 * sum};
    }

    static std::span<float> wide_row(Matrix& matrix, std::size_t t) {
        return {matrix.view().row<float>(t), matrix.cols()};
    }

    template <class Compare>
    static void for_all_cases(Compare const& compare) {
        for (DType const weight : all_dtypes) {
            for (DType const y : activation_dtypes) {
                for (std::size_t const width : Sizes{1, 7, 8, 9, 17, 64, 1027}) {
                    SCOPED_TRACE(::testing::Message() << width << " columns, weight "
                                                      << name_of(weight) << ", y " << name_of(y));
                    compare(5, width, weight, y);
                }
                compare(0, 8, weight, y);
                compare(3, 0, weight, y);
            }
        }
    }
};

TEST_P(NormTest, RmsNormGivesHandCheckedNumbers) {
    Matrix x(1, 2);
    x.set(0, 0, 3.0F);
    x.set(0, 1, -4.0F);
    Matrix weight(1, 2);
    weight.set(0, 0, 2.0F);
    weight.set(0, 1, 1.0F);
    Matrix y(1, 2);
    backend->rms_norm(x.view(), weight.view(), 3.5F, y.view());
    EXPECT_FLOAT_EQ(y.at(0, 0), 1.5F) << "the mean square is 12.5, with eps 16";
    EXPECT_FLOAT_EQ(y.at(0, 1), -1.0F);
}

TEST_P(NormTest, LayerNormGivesHandCheckedNumbers) {
    Matrix x(1, 2);
    x.set(0, 0, 11.0F);
    x.set(0, 1, 5.0F);
    Matrix weight(1, 2);
    weight.set(0, 0, 2.0F);
    weight.set(0, 1, 1.0F);
    Matrix bias(1, 2);
    bias.set(0, 1, 0.25F);
    Matrix y(1, 2);
    backend->layer_norm(x.view(), weight.view(), bias.view(), 7.0F, y.view());
    EXPECT_FLOAT_EQ(y.at(0, 0), 1.5F) << "the mean is 8, the variance 9, with eps 16";
    EXPECT_FLOAT_EQ(y.at(0, 1), -0.5F);
}

TEST_P(NormTest, RmsNormAgreesWithReference) {
    for_all_cases([&](std::size_t rows, std::size_t width, DType weight_type, DType y_type) {
        Matrix const x = random(rows, width);
        Matrix const weight = random(1, width, weight_type);
        Matrix y(rows, width, y_type);
        Matrix expected(rows, width, y_type);
        backend->rms_norm(x.view(), weight.view(), 1e-5F, y.view());
        reference->rms_norm(x.view(), weight.view(), 1e-5F, expected.view());
        expect_close(y, expected, tolerance(width, y_type));
    });
}

TEST_P(NormTest, AddRmsNormAddsFirst) {
    for_all_cases([&](std::size_t rows, std::size_t width, DType weight_type, DType y_type) {
        Matrix residual = random(rows, width);
        Matrix const delta = random(rows, width);
        Matrix const weight = random(1, width, weight_type);
        Matrix sum = residual;
        Matrix y(rows, width, y_type);
        Matrix expected(rows, width, y_type);
        for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < width; ++c) {
                sum.set(r, c, residual.at(r, c) + delta.at(r, c));
            }
        }
        backend->add_rms_norm(residual.view(), delta.view(), weight.view(), 1e-5F, y.view());
        reference->rms_norm(sum.view(), weight.view(), 1e-5F, expected.view());
        expect_close(residual, sum, {});
        expect_close(y, expected, tolerance(width, y_type));
    });
}

TEST_P(NormTest, LayerNormAgreesWithReference) {
    for_all_cases([&](std::size_t rows, std::size_t width, DType weight_type, DType y_type) {
        Matrix const x = random(rows, width);
        Matrix const weight = random(1, width, weight_type);
        Matrix const bias = random(1, width, weight_type);
        for (bool const with_bias : {false, true}) {
            ConstTensorView const offsets = with_bias ? bias.view() : ConstTensorView{};
            Matrix y(rows, width, y_type);
            Matrix expected(rows, width, y_type);
            backend->layer_norm(x.view(), weight.view(), offsets, 1e-5F, y.view());
            reference->layer_norm(x.view(), weight.view(), offsets, 1e-5F, expected.view());
            // Of bias and the rest little may be left, so that the error is that of the parts.
            auto bound = tolerance(width, y_type);
            bound.absolute *= 8;
            expect_close(y, expected, bound);
        }
    });
}

/// Columns of matrices whose rows begin at multiples of 16 bytes, up to rows that are too wide to
/// be kept in registers.
TEST_P(NormTest, AlignedRowsAgreeWithReference) {
    for (DType const type : activation_dtypes) {
        for (std::size_t const width : Sizes{4, 60, 2044, 4092, 20476}) {
            SCOPED_TRACE(::testing::Message() << width << " columns, y " << name_of(type));
            std::size_t const cols = width + 4 - Matrix::gap;
            Matrix x = random(3, cols), delta = random(3, cols), copy = x;
            Matrix const weight = random(1, cols, type), bias = random(1, cols, type);
            Matrix y(3, cols, type), expected(3, cols, type), sums(3, 1), expected_sums(3, 1);
            auto const part = [width](auto& matrix) { return matrix.view().cols_from(0, width); };
            auto const bound = tolerance(width, type);

            backend->layer_norm(part(x), part(weight), part(bias), 1e-5F, part(y));
            reference->layer_norm(part(x), part(weight), part(bias), 1e-5F, part(expected));
            expect_close(y, expected, {bound.relative, 8 * bound.absolute});
            backend->add_rms_norm(part(x), part(delta), part(weight), 1e-5F, part(y));
            reference->add_rms_norm(part(copy), part(delta), part(weight), 1e-5F, part(expected));
            expect_close(x, copy, {});
            expect_close(y, expected, bound);
            backend->square_sums(part(x), sums.view());
            reference->square_sums(part(x), expected_sums.view());
            expect_close(sums, expected_sums, tolerance(width, DType::f32));
            backend->scale_by_square_sums(part(x), sums.view(), width, part(weight), 1e-5F);
            reference->scale_by_square_sums(part(copy), sums.view(), width, part(weight), 1e-5F);
            expect_close(x, copy, tolerance(width, DType::f32));
        }
    }
}

TEST_P(NormTest, LayerNormSurvivesALargeMean) {
    Matrix x(1, 64);
    Matrix weight(1, 64);
    for (std::size_t c = 0; c < 64; ++c) {
        x.set(0, c, 4096.0F + static_cast<float>(c % 2));
        weight.set(0, c, 1.0F);
    }
    Matrix y(1, 64);
    backend->layer_norm(x.view(), weight.view(), {}, 0.0F, y.view());
    for (std::size_t c = 0; c < 64; ++c) EXPECT_FLOAT_EQ(y.at(0, c), c % 2 == 0 ? -1.0F : 1.0F);
}

TEST_P(NormTest, HeadsAreNormalizedOneByOne) {
    for (DType const weight_type : all_dtypes) {
        for (std::size_t const dim : Sizes{1, 8, 19}) {
            for (DType const type : activation_dtypes) {
                Matrix x = random(3, 4 * dim, type);
                Matrix expected = x;
                Matrix const weight = random(1, dim, weight_type);
                backend->head_rms_norm(x.view(), dim, weight.view(), 1e-6F);
                for (std::size_t h = 0; h < 4; ++h) {
                    auto const head = expected.view().cols_from(h * dim, dim);
                    Matrix wide(3, dim);
                    for (std::size_t t = 0; t < 3; ++t) load_row(head, t, wide_row(wide, t));
                    reference->rms_norm(wide.view(), weight.view(), 1e-6F, head);
                }
                expect_close(x, expected, tolerance(dim, type));
            }
        }
    }
    Matrix none(3, 0);
    EXPECT_NO_THROW(backend->head_rms_norm(none.view(), 8, random(1, 8).view(), 1e-6F));
}

/// The parts of a cut row give what the whole row does, and agree with the reference.
TEST_P(NormTest, PartsOfARowAreNormedByTheSumOfTheirSquares) {
    for (DType const weight_type : all_dtypes) {
        for (std::size_t const width : Sizes{1, 9, 64, 1027}) {
            Matrix x = random(5, width);
            Matrix const weight = random(1, width, weight_type);
            Matrix expected(5, width);
            reference->rms_norm(x.view(), weight.view(), 1e-5F, expected.view());
            std::size_t const cut = width / 3;
            auto const left = x.view().cols_from(0, cut),
                       right = x.view().cols_from(cut, width - cut);
            Matrix sums(5, 2);
            auto const first = sums.view().cols_from(0, 1), second = sums.view().cols_from(1, 1);
            backend->square_sums(left, first);
            backend->square_sums(right, second);
            for (std::size_t t = 0; t < 5; ++t) sums.set(t, 0, sums.at(t, 0) + sums.at(t, 1));
            backend->scale_by_square_sums(left, first, width, weight.view().cols_from(0, cut),
                                          1e-5F);
            backend->scale_by_square_sums(right, first, width,
                                          weight.view().cols_from(cut, width - cut), 1e-5F);
            expect_close(x, expected, tolerance(width, DType::f32));
        }
    }
    EXPECT_THROW(backend->square_sums(Matrix(2, 6).view(), Matrix(1, 1).view()), LogicError);
    EXPECT_THROW(backend->scale_by_square_sums(Matrix(2, 6).view(), Matrix(2, 1).view(), 5,
                                               Matrix(1, 6).view(), 0.0F),
                 LogicError);
}

TEST_P(NormTest, PartsOfBf16RowsAgreeWithReference) {
    for (std::size_t const width : Sizes{1, 9, 64, 1027}) {
        Matrix x = random(5, width, DType::bf16);
        Matrix expected = x;
        Matrix const weight = random(1, width);
        Matrix sums(5, 1), expected_sums(5, 1);
        backend->square_sums(x.view(), sums.view());
        reference->square_sums(x.view(), expected_sums.view());
        expect_close(sums, expected_sums, tolerance(width, DType::f32));
        backend->scale_by_square_sums(x.view(), sums.view(), 2 * width, weight.view(), 1e-5F);
        reference->scale_by_square_sums(expected.view(), expected_sums.view(), 2 * width,
                                        weight.view(), 1e-5F);
        expect_close(x, expected, tolerance(width, DType::bf16));
    }
}

TEST_P(NormTest, YMayBeX) {
    Matrix x = random(4, 37);
    Matrix const weight = random(1, 37);
    Matrix const bias = random(1, 37);
    Matrix expected(4, 37);
    backend->rms_norm(x.view(), weight.view(), 1e-5F, expected.view());
    backend->rms_norm(x.view(), weight.view(), 1e-5F, x.view());
    expect_close(x, expected, {});
    backend->layer_norm(x.view(), weight.view(), bias.view(), 1e-5F, expected.view());
    backend->layer_norm(x.view(), weight.view(), bias.view(), 1e-5F, x.view());
    expect_close(x, expected, {});
}

TEST_P(NormTest, RefusesShapesThatDoNotFit) {
    Matrix x(2, 6);
    Matrix const weight(1, 5);
    EXPECT_THROW(backend->rms_norm(x.view(), weight.view(), 0.0F, x.view()), LogicError);
    EXPECT_THROW(backend->head_rms_norm(x.view(), 5, weight.view(), 0.0F), LogicError);
    EXPECT_THROW(backend->layer_norm(x.view(), Matrix(1, 6).view(), weight.view(), 0.0F, x.view()),
                 LogicError);
}

/// The norm of rows in bf16, quantised behind it, and the same in one operation.
struct QuantisedNorm {
    using Rows = std::function<void(TensorView)>;
    using Fused = std::function<void(QuantisedRows)>;

    QuantisedNorm(Backend& backend, std::size_t rows, std::size_t cols, std::size_t distance)
        : wanted(rows, cols, distance),
          found(rows, cols, distance),
          backend_{backend},
          rounded_(rows, cols, DType::bf16) {}

    void compare(Rows const& norm, Fused const& fused) {
        norm(rounded_.view());
        backend_.quantise_rows(rounded_.view(), wanted.view(), wanted.scales());
        fused(found.rows());
        for (std::size_t t = 0; t < rounded_.rows(); ++t) {
            ASSERT_EQ(std::bit_cast<std::uint32_t>(found.scale(t)),
                      std::bit_cast<std::uint32_t>(wanted.scale(t)))
                << "row " << t;
            for (std::size_t k = 0; k < rounded_.cols(); ++k) {
                ASSERT_EQ(found.bits(t, k), wanted.bits(t, k)) << "row " << t << ", column " << k;
            }
        }
    }

    Quantised wanted, found;

  private:
    Backend& backend_;
    Matrix rounded_;
};

/// Widths that are held in registers and wider ones; rows that are aligned and others.
TEST_P(NormTest, QuantisedNormsAreNormsThatAreQuantised) {
    for (std::size_t const width : Sizes{1, 16, 17, 1040, 4100, 16512}) {
        SCOPED_TRACE(width);
        std::size_t const rows = 3, distance = width % 16 == 0 ? 16 : 1;
        Matrix const wide = random(rows, width + 4 - Matrix::gap, DType::f32, 3.0F);
        Matrix delta = random(rows, width + 4 - Matrix::gap);
        auto const x = wide.view().cols_from(0, width);
        Matrix const weight = random(1, width, DType::bf16), bias = random(1, width);
        QuantisedNorm norm(*backend, rows, width, distance);
        norm.compare([&](auto y) { backend->rms_norm(x, weight.view(), 1e-5F, y); },
                     [&](auto y) { backend->rms_norm_quantised(x, weight.view(), 1e-5F, y); });
        norm.compare([&](auto y) { backend->layer_norm(x, weight.view(), bias.view(), 1e-5F, y); },
                     [&](auto y) {
                         backend->layer_norm_quantised(x, weight.view(), bias.view(), 1e-5F, y);
                     });
        Matrix sum = wide, fused_sum = wide;
        auto const term = delta.view().cols_from(0, width);
        norm.compare(
            [&](auto y) {
                backend->add_rms_norm(sum.view().cols_from(0, width), term, weight.view(), 1e-5F,
                                      y);
            },
            [&](auto y) {
                backend->add_rms_norm_quantised(fused_sum.view().cols_from(0, width), term,
                                                weight.view(), 1e-5F, y);
            });
        expect_close(fused_sum, sum, {});
    }
}

TEST_P(NormTest, RowsOfZerosAreQuantisedAsSuch) {
    std::size_t const width = 32;
    Matrix const x(2, width), weight = random(1, width), delta(2, width), bias(1, width);
    Matrix sum(2, width);
    QuantisedNorm norm(*backend, 2, width, 0);
    norm.compare([&](auto y) { backend->rms_norm(x.view(), weight.view(), 1e-5F, y); },
                 [&](auto y) { backend->rms_norm_quantised(x.view(), weight.view(), 1e-5F, y); });
    EXPECT_TRUE(std::isfinite(norm.found.scale(0)));
    EXPECT_EQ(norm.found.bits(1, 7), 0);
    norm.compare(
        [&](auto y) { backend->layer_norm(x.view(), weight.view(), bias.view(), 1e-5F, y); },
        [&](auto y) {
            backend->layer_norm_quantised(x.view(), weight.view(), bias.view(), 1e-5F, y);
        });
    norm.compare(
        [&](auto y) { backend->add_rms_norm(sum.view(), delta.view(), weight.view(), 1e-5F, y); },
        [&](auto y) {
            backend->add_rms_norm_quantised(sum.view(), delta.view(), weight.view(), 1e-5F, y);
        });
}

TEST_P(NormTest, ARowThatIsNotFiniteGetsTheScaleNan) {
    Matrix x = random(2, 32);
    x.set(1, 5, NAN);
    Matrix const weight = random(1, 32);
    Quantised y(2, 32, 0);
    backend->rms_norm_quantised(x.view(), weight.view(), 1e-5F, y.rows());
    EXPECT_TRUE(std::isfinite(y.scale(0)));
    EXPECT_TRUE(std::isnan(y.scale(1)));
}

INSTANTIATE_TEST_SUITE_P(Backends, NormTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
