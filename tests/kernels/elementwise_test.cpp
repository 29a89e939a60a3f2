#include "tests/kernels/backend_test.hpp"

namespace tesserank::kernels {
namespace {

using ElementwiseTest = BackendTest;

TEST_P(ElementwiseTest, AddAddsEveryElementOnce) {
    for (std::size_t const cols : Sizes{0, 1, 7, 64, 65}) {
        Matrix x = random(5, cols);
        Matrix const y = random(5, cols);
        Matrix expected(5, cols);
        for (std::size_t r = 0; r < 5; ++r) {
            for (std::size_t c = 0; c < cols; ++c) expected.set(r, c, x.at(r, c) + y.at(r, c));
        }
        backend->add(x.view(), y.view());
        expect_close(x, expected, {});
    }
}

TEST_P(ElementwiseTest, AddScaledScalesByColumn) {
    for (DType const dtype : all_dtypes) {
        for (std::size_t const cols : Sizes{0, 1, 7, 61, 64}) {
            Matrix x = random(5, cols);
            Matrix const y = random(5, cols), scale = random(1, cols, dtype);
            Matrix expected(5, cols);
            for (std::size_t r = 0; r < 5; ++r) {
                for (std::size_t c = 0; c < cols; ++c) {
                    expected.set(r, c, x.at(r, c) + y.at(r, c) * scale.at(0, c));
                }
            }
            backend->add_scaled(x.view(), y.view(), scale.view());
            // Rounded once or twice: of numbers that may cancel, and are not beyond 16.
            expect_close(x, expected, {.absolute = 16 * unit_roundoff(DType::f32)});
        }
    }
    Matrix x(2, 3);
    EXPECT_THROW(backend->add_scaled(x.view(), Matrix(2, 3).view(), Matrix(1, 2).view()),
                 LogicError);
    EXPECT_THROW(backend->add_scaled(x.view(), Matrix(1, 3).view(), Matrix(1, 3).view()),
                 LogicError);
}

TEST_P(ElementwiseTest, CopyKeepsEveryBitBetweenStridedViews) {
    for (DType const dtype : all_dtypes) {
        Matrix const from = random(6, 21, dtype);
        Matrix to(8, 30, dtype);
        backend->copy(from.view(), to.view().rows_from(1, 6).cols_from(4, 21));
        Matrix expected(8, 30, dtype);
        for (std::size_t r = 0; r < 6; ++r) {
            for (std::size_t c = 0; c < 21; ++c) expected.set(r + 1, c + 4, from.at(r, c));
        }
        expect_close(to, expected, {});
    }
    EXPECT_THROW(backend->copy(Matrix(2, 2).view(), Matrix(2, 3).view()), LogicError);
    EXPECT_THROW(backend->copy(Matrix(2, 2).view(), Matrix(2, 2, DType::f16).view()), LogicError);
}

/// Of f8e4m3 all 256 bytes, which stand for no numbers without their scales.
TEST_P(ElementwiseTest, CopyKeepsEveryByteOfQuantisedWeights) {
    for (std::size_t const cols : Sizes{16, 19}) {
        constexpr std::size_t rows = 16, stride = 32;
        std::vector<std::byte> from(rows * stride), to(rows * stride, std::byte{0x5A});
        for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i);
        Buffer const source = backend->allocate(from.size());
        Buffer const target = backend->allocate(to.size());
        backend->copy_from_host(from, source.get());
        backend->copy_from_host(to, target.get());
        backend->copy(TensorView{{source.get(), DType::f8e4m3, rows, cols, stride}},
                      TensorView{{target.get(), DType::f8e4m3, rows, cols, stride}});
        std::vector<std::byte> copied(to.size());
        backend->copy_to_host(target.get(), copied);
        for (std::size_t i = 0; i < to.size(); ++i) {
            ASSERT_EQ(copied[i], i % stride < cols ? from[i] : to[i]) << i;
        }
    }
}

TEST_P(ElementwiseTest, GatherTakesRowsInAnyOrderAndTwice) {
    Matrix const x = random(4, 13);
    std::vector<std::size_t> const rows{3, 0, 3};
    Matrix y(3, 13);
    backend->gather_rows(x.view(), rows, y.view());
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(y.row(i), x.row(rows[i]));
    EXPECT_TRUE(y.gaps_untouched());
    std::vector<std::size_t> const outside{4};
    EXPECT_THROW(backend->gather_rows(x.view(), outside, y.view().rows_from(0, 1)), LogicError);
    EXPECT_NO_THROW(backend->gather_rows(x.view(), {}, y.view().rows_from(0, 0)));
}

TEST_P(ElementwiseTest, RoundGoesToTheNearestEvenBf16) {
    Matrix x(2, 3);
    float const values[2][3] = {{1.0F + 0x1p-8F, 1.0F + 0x3p-8F, NAN},
                                {3.4e38F, -INFINITY, 1e-40F}};
    Matrix expected(2, 3, DType::bf16);
    for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t c = 0; c < 3; ++c) x.set(r, c, values[r][c]);
    }
    Matrix y(2, 3, DType::bf16);
    backend->round(x.view(), y.view());
    EXPECT_EQ(y.at(0, 0), 1.0F);
    EXPECT_EQ(y.at(0, 1), 1.0F + 0x1p-6F);
    EXPECT_TRUE(std::isnan(y.at(0, 2)));
    EXPECT_EQ(y.at(1, 0), INFINITY);
    EXPECT_EQ(y.at(1, 1), -INFINITY);
    EXPECT_NEAR(y.at(1, 2), 1e-40F, 0x1p-134F) << "half a step of the subnormal numbers";
}

TEST_P(ElementwiseTest, EmbedTakesRowsOfAPieceOfTheVocabulary) {
    for (DType const dtype : all_dtypes) {
        for (std::size_t const width : Sizes{0, 1, 16, 33}) {
            Matrix const table = random(5, width, dtype);
            std::vector<std::int32_t> const ids{9, 10, 14, 15, -1, 12, 12};
            Matrix y = random(ids.size(), width);
            backend->embed(on(*backend, ids), table.view(), 10, y.view());
            std::vector<float> const zeros(width);
            EXPECT_EQ(y.row(0), zeros) << "before the piece";
            EXPECT_EQ(y.row(1), table.row(0));
            EXPECT_EQ(y.row(2), table.row(4));
            EXPECT_EQ(y.row(3), zeros) << "behind the piece";
            EXPECT_EQ(y.row(4), zeros);
            EXPECT_EQ(y.row(5), table.row(2));
            EXPECT_EQ(y.row(6), table.row(2));
            EXPECT_TRUE(y.gaps_untouched());
        }
    }
}

TEST_P(ElementwiseTest, EmbedOfNoIdsOrNoRowsIsFine) {
    Matrix const empty(0, 4, DType::bf16);
    Matrix y = random(2, 4);
    std::vector<std::int32_t> const ids{0, 7};
    backend->embed(on(*backend, ids), empty.view(), 0, y.view());
    expect_close(y, Matrix(2, 4), {});
    EXPECT_NO_THROW(backend->embed({}, empty.view(), 0, y.view().rows_from(0, 0)));
    EXPECT_THROW(backend->embed({}, empty.view(), 0, y.view()), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, ElementwiseTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
