#include "tests/kernels/backend_test.hpp"

#include <cstring>

namespace tesserank::kernels {
namespace {

class GemmTest : public BackendTest {
  protected:
    struct Case {
        std::size_t tokens, depth, rows;
        DType x, w;
        /// Columns between the rows of x and w, on top of the Matrix's own.
        std::size_t distance = 0;
    };

    /// Makes rows of 8 n columns start at multiples of 16 bytes: backends then read vectors.
    static constexpr std::size_t to_alignment = 8 - Matrix::gap;

    void compare(Case const& c, bool with_bias) {
        SCOPED_TRACE(::testing::Message()
                     << c.tokens << " x " << c.depth << " x " << c.rows << ", " << name_of(c.x)
                     << " by " << name_of(c.w) << (with_bias ? " with bias" : ""));
        Matrix const wide_x = random(c.tokens, c.depth + c.distance, c.x);
        Matrix const wide_w = random(c.rows, c.depth + c.distance, c.w);
        ConstTensorView const x = wide_x.view().cols_from(0, c.depth);
        ConstTensorView const w = wide_w.view().cols_from(0, c.depth);
        Matrix const bias = random(1, c.rows, c.w);
        Matrix y = random(c.tokens, c.rows);
        Matrix expected(c.tokens, c.rows);
        ConstTensorView const offsets = with_bias ? bias.view() : ConstTensorView{};
        backend->gemm(x, w, offsets, y.view());
        reference->gemm(x, w, offsets, expected.view());
        // The operands are exact in f32, so only the sum is rounded: each of K additions by half a
        // unit of a partial sum, which random signs keep near sqrt(K). In the worst case the bound
        // is K u sum |x w|; four standard deviations of the random walk are far below it.
        auto const depth = static_cast<float>(c.depth);
        expect_close(y, expected,
                     {.relative = 2 * unit_roundoff(DType::f32),
                      .absolute = 4 * unit_roundoff(DType::f32) * (depth + 1)});
        Matrix low = random(c.tokens, c.rows, DType::bf16);
        Matrix low_expected(c.tokens, c.rows, DType::bf16);
        backend->gemm(x, w, offsets, low.view());
        reference->gemm(x, w, offsets, low_expected.view());
        // Near the middle between two numbers either may be taken.
        expect_close(low, low_expected,
                     {.relative = 2 * unit_roundoff(DType::bf16),
                      .absolute = 4 * unit_roundoff(DType::f32) * (depth + 1)});
    }
};

TEST_P(GemmTest, GivesHandCheckedNumbers) {
    Matrix x(1, 3);
    Matrix w(2, 3);
    Matrix bias(1, 2);
    for (std::size_t k = 0; k < 3; ++k) {
        x.set(0, k, static_cast<float>(k + 1));
        w.set(0, k, 1.0F);
        w.set(1, k, static_cast<float>(k) - 1.0F);
    }
    bias.set(0, 1, 0.5F);
    Matrix y(1, 2);
    backend->gemm(x.view(), w.view(), bias.view(), y.view());
    EXPECT_EQ(y.at(0, 0), 6.0F);
    EXPECT_EQ(y.at(0, 1), 2.5F);
}

TEST_P(GemmTest, AgreesWithReferenceAtOddSizes) {
    for (DType const x : activation_dtypes) {
        for (DType const w : all_dtypes) {
            for (std::size_t const tokens : Sizes{1, 2, 3, 4, 5, 7, 16, 17, 33}) {
                compare({tokens, 37, 65, x, w}, tokens % 2 == 1);
            }
            for (std::size_t const depth : Sizes{1, 15, 16, 17, 31, 32, 33, 97}) {
                compare({3, depth, 7, x, w}, false);
                compare({1, depth, 6, x, w}, true);
                compare({40, depth, 13, x, w}, true);
            }
            for (std::size_t const rows : Sizes{1, 2, 3, 63, 64, 65, 257, 513}) {
                compare({1, 19, rows, x, w}, false);
                compare({5, 19, rows, x, w}, true);
                compare({35, 19, rows, x, w}, false);
            }
        }
    }
}

TEST_P(GemmTest, AgreesWithReferenceOnAlignedRows) {
    for (DType const x : activation_dtypes) {
        for (DType const w : all_dtypes) {
            for (std::size_t const depth : Sizes{8, 24, 64, 200, 1024}) {
                compare({1, depth, 17, x, w, to_alignment}, true);
                compare({6, depth, 16, x, w, to_alignment}, false);
                compare({19, depth, 24, x, w, to_alignment}, true);
            }
        }
    }
}

/// Also where all rows are aligned, and a long sum may be made in parts: rounded once.
TEST_P(GemmTest, AddsABiasBeforeItRounds) {
    for (std::size_t const tokens : Sizes{17, 40, 200}) {
        for (std::size_t const depth : Sizes{24, 512, 4096}) {
            for (std::size_t const rows : Sizes{8, 48, 320}) {
                SCOPED_TRACE(::testing::Message() << tokens << " x " << depth << " x " << rows);
                Matrix const wide_x = random(tokens, depth + to_alignment, DType::bf16);
                Matrix const wide_w = random(rows, depth + to_alignment, DType::bf16);
                Matrix const bias = random(1, rows, DType::bf16);
                ConstTensorView const x = wide_x.view().cols_from(0, depth);
                ConstTensorView const w = wide_w.view().cols_from(0, depth);
                Matrix y(tokens, rows + to_alignment, DType::bf16), expected = y;
                backend->gemm(x, w, bias.view(), y.view().cols_from(0, rows));
                reference->gemm(x, w, bias.view(), expected.view().cols_from(0, rows));
                expect_close(
                    y, expected,
                    {.relative = 2 * unit_roundoff(DType::bf16),
                     .absolute = 4 * unit_roundoff(DType::f32) * static_cast<float>(depth + 1)});
            }
        }
    }
}

/// Depths around those of which CUDA has one, two and more rounds of loads under way.
TEST_P(GemmTest, StreamsAlignedRowsOfAnyDepth) {
    for (std::size_t const tokens : Sizes{1, 2, 7, 8, 9, 15, 16}) {
        for (std::size_t const depth : Sizes{1016, 2048, 2056, 2120, 4160}) {
            compare({tokens, depth, 18, DType::bf16, DType::bf16, to_alignment}, tokens % 2 == 0);
        }
    }
    for (std::size_t const rows : Sizes{1, 7, 8, 9, 15, 16, 31, 33}) {
        compare({3, 136, rows, DType::bf16, DType::bf16, to_alignment}, true);
        compare({12, 136, rows, DType::bf16, DType::bf16, to_alignment}, false);
    }
}

/// As many rows as CUDA has blocks of two tiles for, on the emulated device.
TEST_P(GemmTest, StreamsTwoTilesOfRows) {
    for (std::size_t const tokens : Sizes{4, 5, 8, 9, 16}) {
        for (std::size_t const rows : Sizes{159, 160, 183}) {
            compare({tokens, 1096, rows, DType::bf16, DType::bf16, to_alignment}, rows != 160);
        }
    }
    compare({13, 4168, 160, DType::bf16, DType::bf16, to_alignment}, true);
}

TEST_P(GemmTest, ConvertsLongActivationsInBlocks) {
    compare({1030, 9, 5, DType::bf16, DType::f16}, true);
}

/// CUDA converts at most 2048 rows of x and of w at once.
TEST_P(GemmTest, ConvertsMoreRowsThanAPieceHas) {
    compare({2050, 8, 3, DType::bf16, DType::f16}, true);
    compare({17, 8, 2050, DType::bf16, DType::f32}, true);
    compare({2050, 1, 2050, DType::f32, DType::bf16}, false);
}

/// CUDA keeps the library's choices for 256 shapes; the first of these come back when they are
/// gone.
TEST_P(GemmTest, ManyShapesTakeTurns) {
    for (int turn = 0; turn < 2; ++turn) {
        for (std::size_t tokens = 17; tokens < 17 + 260; tokens += turn == 0 ? 1 : 50) {
            compare({tokens, 4, 4, DType::f32, DType::f32}, false);
        }
    }
}

TEST_P(GemmTest, EmptyShapesGiveNothingOrZeros) {
    for (std::size_t const tokens : Sizes{0, 2, 50}) {
        compare({tokens, 0, 5, DType::f32, DType::bf16}, false);
        compare({tokens, 0, 5, DType::f32, DType::f16}, true);
        compare({tokens, 8, 0, DType::bf16, DType::f32}, false);
        compare({tokens, 0, 0, DType::f32, DType::f32}, false);
    }
}

/// In our own kernel, which serves few tokens, the order of the additions depends on K alone.
/// oneDNN, which serves many, promises nothing of the kind.
TEST_P(GemmTest, ARowOfAFewIsTheRowAlone) {
    for (DType const dtype : all_dtypes) {
        for (std::size_t const tokens : Sizes{2, 5, 8, 13, 16}) {
            Matrix const x = random(tokens, 211);
            Matrix const w = random(133, 211, dtype);
            Matrix together(tokens, 133);
            backend->gemm(x.view(), w.view(), {}, together.view());
            for (std::size_t t = 0; t < tokens; ++t) {
                Matrix alone(1, 133);
                backend->gemm(x.view().rows_from(t, 1), w.view(), {}, alone.view());
                ASSERT_EQ(together.row(t), alone.row(0)) << "row " << t << " of " << tokens;
            }
        }
    }
}

/// A rank that holds some rows of W gets the bits that one rank with all of them gets.
TEST_P(GemmTest, APartOfTheRowsOfWGivesTheSameBits) {
    Matrix const x = random(3, 100);
    Matrix const w = random(90, 100, DType::bf16);
    Matrix whole(3, 90);
    Matrix part(3, 17);
    backend->gemm(x.view(), w.view(), {}, whole.view());
    backend->gemm(x.view(), w.view().rows_from(29, 17), {}, part.view());
    for (std::size_t t = 0; t < 3; ++t) {
        for (std::size_t n = 0; n < 17; ++n) EXPECT_EQ(part.at(t, n), whole.at(t, 29 + n));
    }
}

/// The same where rows are aligned, and both are bf16.
TEST_P(GemmTest, AlignedRowsGiveTheSameBitsAloneAndInParts) {
    std::size_t const depth = 1160;
    Matrix const wide_x = random(13, depth + to_alignment, DType::bf16);
    Matrix const wide_w = random(170, depth + to_alignment, DType::bf16);
    ConstTensorView const x = wide_x.view().cols_from(0, depth);
    ConstTensorView const w = wide_w.view().cols_from(0, depth);
    Matrix whole(13, 170);
    backend->gemm(x, w, {}, whole.view());
    for (std::size_t t = 0; t < 13; ++t) {
        Matrix alone(1, 170);
        backend->gemm(x.rows_from(t, 1), w, {}, alone.view());
        ASSERT_EQ(alone.row(0), whole.row(t)) << "row " << t;
    }
    Matrix part(13, 21);
    backend->gemm(x, w.rows_from(19, 21), {}, part.view());
    for (std::size_t n = 0; n < 21; ++n) EXPECT_EQ(part.at(4, n), whole.at(4, 19 + n));
}

TEST_P(GemmTest, HalvesKeepInfinitiesNansAndSubnormals) {
    Matrix w(6, 1, DType::f16);
    float const values[] = {INFINITY, -INFINITY, NAN, 0x1p-24F, -0x1p-15F, 65504.0F};
    for (std::size_t n = 0; n < 6; ++n) w.set(n, 0, values[n]);
    Matrix x(1, 1);
    x.set(0, 0, 1.0F);
    Matrix y(1, 6);
    backend->gemm(x.view(), w.view(), {}, y.view());
    for (std::size_t n = 0; n < 6; ++n) {
        if (std::isnan(values[n])) {
            EXPECT_TRUE(std::isnan(y.at(0, n)));
        } else {
            EXPECT_EQ(y.at(0, n), values[n]);
        }
    }
}

TEST_P(GemmTest, RefusesShapesThatDoNotFit) {
    Matrix x(2, 3);
    Matrix w(4, 3);
    Matrix y(2, 4);
    Matrix const wrong(2, 5);
    EXPECT_THROW(backend->gemm(wrong.view(), w.view(), {}, y.view()), LogicError);
    EXPECT_THROW(backend->gemm(x.view(), wrong.view(), {}, y.view()), LogicError);
    EXPECT_THROW(backend->gemm(x.view(), w.view(), wrong.view(), y.view()), LogicError);
    EXPECT_THROW(backend->gemm(x.view(), w.view(), {}, x.view()), LogicError);
    Matrix half(2, 3, DType::f16);
    EXPECT_THROW(backend->gemm(half.view(), w.view(), {}, y.view()), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, GemmTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
