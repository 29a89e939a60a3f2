#include "tests/kernels/backend_test.hpp"

namespace tesserank::kernels {
namespace {

using RotaryTest = BackendTest;

TEST_P(RotaryTest, TurnsThePairsOfHalves) {
    Matrix x(1, 8);
    for (std::size_t c = 0; c < 8; ++c) x.set(0, c, static_cast<float>(c + 1));
    Matrix cos_sin(1, 4);
    float const quarter_and_half_turn[] = {0.0F, -1.0F, 1.0F, 0.0F};
    for (std::size_t c = 0; c < 4; ++c) cos_sin.set(0, c, quarter_and_half_turn[c]);
    backend->rotary(x.view(), 4, cos_sin.view());
    EXPECT_EQ(x.row(0), (std::vector<float>{-3, -2, 1, -4, -7, -6, 5, -8}));
}

TEST_P(RotaryTest, AgreesWithReference) {
    for (std::size_t const dim : Sizes{2, 6, 16, 34, 128}) {
        for (std::size_t const heads : Sizes{0, 1, 3}) {
            for (std::size_t const tokens : Sizes{0, 1, 5}) {
                Matrix x = random(tokens, heads * dim);
                Matrix const cos_sin = random(tokens, dim);
                Matrix expected = x;
                backend->rotary(x.view(), dim, cos_sin.view());
                reference->rotary(expected.view(), dim, cos_sin.view());
                // Two products and a sum of numbers below 5; some machines fuse them.
                expect_close(x, expected, {.absolute = 64 * unit_roundoff(DType::f32)});
                Matrix low = random(tokens, heads * dim, DType::bf16);
                Matrix low_expected = low;
                backend->rotary(low.view(), dim, cos_sin.view());
                reference->rotary(low_expected.view(), dim, cos_sin.view());
                expect_close(low, low_expected,
                             {.relative = 2 * unit_roundoff(DType::bf16),
                              .absolute = 64 * unit_roundoff(DType::f32)});
            }
        }
    }
}

TEST_P(RotaryTest, RefusesShapesThatDoNotFit) {
    Matrix x(2, 6);
    EXPECT_THROW(backend->rotary(x.view(), 3, Matrix(2, 3).view()), LogicError);
    EXPECT_THROW(backend->rotary(x.view(), 4, Matrix(2, 4).view()), LogicError);
    EXPECT_THROW(backend->rotary(x.view(), 6, Matrix(1, 6).view()), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, RotaryTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
