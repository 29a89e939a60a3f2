#include "tests/kernels/backend_test.hpp"

namespace tesserank::kernels {
namespace {

using VisionTest = BackendTest;

/// A number that tells picture or grid, row, column and channel.
float label(std::size_t picture, std::size_t i, std::size_t j, std::size_t channel) {
    return static_cast<float>(((picture * 8 + i) * 8 + j) * 8 + channel);
}

TEST_P(VisionTest, APatchHoldsItsPixelsByChannelRowAndColumn) {
    PatchShape const shape{.channels = 3, .height = 4, .width = 6, .patch = 2};
    Matrix pixels(2 * 3, 4 * 6);
    for (std::size_t plane = 0; plane < 6; ++plane) {
        for (std::size_t p = 0; p < 24; ++p) {
            pixels.set(plane, p, label(plane / 3, p / 6, p % 6, plane % 3));
        }
    }
    for (DType const dtype : activation_dtypes) {
        Matrix y(2 * 2 * 3, 3 * 2 * 2, dtype);
        backend->cut_patches(pixels.view(), shape, y.view());
        Matrix expected(12, 12, dtype);
        for (std::size_t row = 0; row < 12; ++row) {
            for (std::size_t col = 0; col < 12; ++col) {
                expected.set(
                    row, col,
                    label(row / 6, row / 3 % 2 * 2 + col / 2 % 2, row % 3 * 2 + col % 2, col / 4));
            }
        }
        expect_close(y, expected, {});
    }
}

TEST_P(VisionTest, AShuffledTokenHoldsASquareOfTheGrid) {
    // As InternVL writes it: halve the second direction, turn, halve the first, and turn back
    // except in version 1.
    constexpr std::size_t height = 4, width = 6, hidden = 3;
    Matrix x(2 * height * width, hidden);
    for (std::size_t t = 0; t < x.rows(); ++t) {
        for (std::size_t c = 0; c < hidden; ++c) {
            x.set(t, c, label(t / 24, t / width % height, t % width, c));
        }
    }
    for (bool const by_columns : {false, true}) {
        ShuffleShape const shape{height, width, 2, by_columns};
        for (DType const dtype : activation_dtypes) {
            Matrix y(12, 4 * hidden, dtype);
            backend->pixel_shuffle(x.view(), shape, y.view());
            Matrix expected(12, 4 * hidden, dtype);
            for (std::size_t row = 0; row < 12; ++row) {
                std::size_t const square = row % 6;
                std::size_t const i = by_columns ? square % 2 : square / 3;
                std::size_t const j = by_columns ? square / 2 : square % 3;
                for (std::size_t col = 0; col < 4 * hidden; ++col) {
                    std::size_t const part = col / hidden;
                    expected.set(row, col,
                                 label(row / 6, 2 * i + part / 2, 2 * j + part % 2, col % hidden));
                }
            }
            expect_close(y, expected, {});
        }
    }
}

TEST_P(VisionTest, EveryPictureGetsItsClassTokenAndAllPositions) {
    for (DType const dtype : all_dtypes) {
        for (std::size_t const hidden : Sizes{1, 13, 61}) {
            constexpr std::size_t pictures = 3, places = 5;
            Matrix const patches = random(pictures * (places - 1), hidden);
            Matrix const class_token = random(1, hidden, dtype);
            Matrix const positions = random(places, hidden, dtype);
            Matrix y(pictures * places, hidden), expected(pictures * places, hidden);
            for (std::size_t n = 0; n < pictures; ++n) {
                for (std::size_t c = 0; c < hidden; ++c) {
                    expected.set(n * places, c, class_token.at(0, c) + positions.at(0, c));
                    for (std::size_t p = 1; p < places; ++p) {
                        float const patch = patches.at(n * (places - 1) + p - 1, c);
                        expected.set(n * places + p, c, patch + positions.at(p, c));
                    }
                }
            }
            backend->add_positions(patches.view(), class_token.view(), positions.view(), y.view());
            expect_close(y, expected, {});
        }
    }
}

TEST_P(VisionTest, AgreesWithTheReferenceOnRealShapes) {
    PatchShape const patches{.channels = 3, .height = 56, .width = 28, .patch = 14};
    Matrix const pixels = random(3 * 3, 56 * 28);
    Matrix cut(3 * 8, 3 * 14 * 14, DType::bf16), expected_cut(3 * 8, 3 * 14 * 14, DType::bf16);
    backend->cut_patches(pixels.view(), patches, cut.view());
    reference->cut_patches(pixels.view(), patches, expected_cut.view());
    expect_close(cut, expected_cut, {});
    Matrix const x = random(64, 50);
    Matrix y(4, 16 * 50), expected(4, 16 * 50);
    backend->pixel_shuffle(x.view(), {8, 8, 4, false}, y.view());
    reference->pixel_shuffle(x.view(), {8, 8, 4, false}, expected.view());
    expect_close(y, expected, {});
}

TEST_P(VisionTest, WrongShapesAreRefusedAndNoPicturesAreFine) {
    PatchShape const shape{.channels = 3, .height = 4, .width = 4, .patch = 2};
    EXPECT_NO_THROW(backend->cut_patches(Matrix(0, 16).view(), shape, Matrix(0, 12).view()));
    EXPECT_THROW(backend->cut_patches(Matrix(3, 15).view(), shape, Matrix(4, 12).view()),
                 LogicError);
    EXPECT_THROW(backend->cut_patches(Matrix(3, 16).view(), shape, Matrix(3, 12).view()),
                 LogicError);
    Matrix const token(1, 4), positions(3, 4);
    auto const add = [&](Matrix const& patches, std::size_t rows) {
        backend->add_positions(patches.view(), token.view(), positions.view(),
                               Matrix(rows, 4).view());
    };
    EXPECT_NO_THROW(add(Matrix(0, 4), 0));
    EXPECT_THROW(add(Matrix(4, 4), 7), LogicError);
    EXPECT_THROW(add(Matrix(5, 4), 6), LogicError);
    EXPECT_THROW(add(Matrix(4, 3), 6), LogicError);
    EXPECT_NO_THROW(
        backend->pixel_shuffle(Matrix(0, 5).view(), {4, 4, 2, false}, Matrix(0, 20).view()));
    EXPECT_THROW(
        backend->pixel_shuffle(Matrix(16, 5).view(), {4, 4, 3, false}, Matrix(4, 20).view()),
        LogicError);
    EXPECT_THROW(
        backend->pixel_shuffle(Matrix(15, 5).view(), {4, 4, 2, false}, Matrix(4, 20).view()),
        LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, VisionTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
