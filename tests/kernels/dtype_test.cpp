#include "kernels/dtype.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tesserank::kernels {
namespace {

TEST(DType, NamesGoBothWays) {
    for (auto const dtype : {DType::f32, DType::bf16, DType::f16}) {
        EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
    }
    EXPECT_EQ(dtype_from_name("f8"), std::nullopt);
    EXPECT_EQ(name_of(DType::f8e4m3), "f8e4m3");
    EXPECT_EQ(dtype_from_name("f8e4m3"), std::nullopt) << "no file has it";
}

TEST(DType, OperationsWithoutScalesRefuseFloat8) {
    EXPECT_THROW(visit_dtype(DType::f8e4m3, [](auto) {}), LogicError);
}

TEST(BFloat16, RoundsToNearestEven) {
    EXPECT_EQ(from_float<BFloat16>(1.0F).bits, 0x3F80);
    EXPECT_EQ(from_float<BFloat16>(1.0F + 0x1p-8F).bits, 0x3F80)
        << "a tie goes to the even neighbour";
    EXPECT_EQ(from_float<BFloat16>(1.0F + 0x3p-8F).bits, 0x3F82);
    EXPECT_EQ(from_float<BFloat16>(1.0F + 0x1p-8F + 0x1p-20F).bits, 0x3F81);
    EXPECT_TRUE(std::isinf(to_float(from_float<BFloat16>(std::numeric_limits<float>::max()))));
    EXPECT_TRUE(
        std::isnan(to_float(from_float<BFloat16>(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Float16, EveryValueSurvivesTheWayThere) {
    for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
        Float16 const value{static_cast<std::uint16_t>(bits)};
        float const wide = to_float(value);
        if (std::isnan(wide)) {
            EXPECT_TRUE(std::isnan(to_float(from_float<Float16>(wide))));
        } else {
            ASSERT_EQ(from_float<Float16>(wide).bits, value.bits) << bits;
        }
    }
}

TEST(Float16, RoundsToNearestEven) {
    EXPECT_EQ(to_float(Float16{0x0001}), 0x1p-24F);
    EXPECT_EQ(to_float(Float16{0x7BFF}), 65504.0F);
    EXPECT_EQ(from_float<Float16>(65519.0F).bits, 0x7BFF);
    EXPECT_EQ(from_float<Float16>(65520.0F).bits, 0x7C00)
        << "halfway to the next power rounds to infinity";
    EXPECT_EQ(from_float<Float16>(0x1p-25F).bits, 0x0000) << "a tie goes to the even neighbour";
    EXPECT_EQ(from_float<Float16>(0x1.8p-24F).bits, 0x0002);
    EXPECT_EQ(from_float<Float16>(1.0F + 0x1p-11F).bits, 0x3C00);
    EXPECT_EQ(from_float<Float16>(1.0F + 0x3p-11F).bits, 0x3C02);
    EXPECT_EQ(from_float<Float16>(-2.0F).bits, 0xC000);
}

TEST(Float8, EveryValueSurvivesTheWayThere) {
    for (std::uint32_t bits = 0; bits <= 0xFFU; ++bits) {
        Float8 const value{static_cast<std::uint8_t>(bits)};
        float const wide = to_float(value);
        if (std::isnan(wide)) {
            EXPECT_EQ(bits & 0x7FU, 0x7FU);
            EXPECT_TRUE(std::isnan(to_float(from_float<Float8>(wide))));
        } else {
            ASSERT_EQ(from_float<Float8>(wide).bits, value.bits) << bits;
        }
    }
}

TEST(Float8, BetweenNeighboursTheNearerOneIsTakenAndOnTiesTheEvenOne) {
    for (std::uint8_t bits = 0; bits < 0x7EU; ++bits) {
        auto const above = static_cast<std::uint8_t>(bits + 1);
        float const low = to_float(Float8{bits});
        float const high = to_float(Float8{above});
        float const middle = (low + high) / 2;
        EXPECT_EQ(from_float<Float8>(middle).bits, bits % 2 == 0 ? bits : above);
        EXPECT_EQ(from_float<Float8>(std::nextafter(middle, low)).bits, bits);
        EXPECT_EQ(from_float<Float8>(std::nextafter(middle, high)).bits, above);
        EXPECT_EQ(from_float<Float8>(-std::nextafter(middle, high)).bits, above | 0x80U);
    }
}

TEST(Float8, HasHandCheckedNumbersAndSaturates) {
    EXPECT_EQ(to_float(Float8{0x01}), 0x1p-9F);
    EXPECT_EQ(to_float(Float8{0x08}), 0x1p-6F);
    EXPECT_EQ(to_float(Float8{0x38}), 1.0F);
    EXPECT_EQ(to_float(Float8{0xB9}), -1.125F);
    EXPECT_EQ(to_float(Float8{0x7E}), 448.0F);
    EXPECT_EQ(from_float<Float8>(465.0F).bits, 0x7E);
    EXPECT_EQ(from_float<Float8>(-INFINITY).bits, 0xFE);
}

}  // namespace
}  // namespace tesserank::kernels
