#include "io/model_file/cast.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::BFloat16;
using kernels::DType;
using kernels::Float16;

template <class To, class From>
To cast_one(SafetensorsDType from, From value) {
    To result{};
    cast(from, std::as_bytes(std::span(&value, 1)), kernels::dtype_of<To>(),
         std::as_writable_bytes(std::span(&result, 1)));
    return result;
}

std::uint16_t bf16_of(double value) {
    return cast_one<BFloat16>(SafetensorsDType::f64, value).bits;
}
std::uint16_t f16_of(double value) { return cast_one<Float16>(SafetensorsDType::f64, value).bits; }

TEST(Cast, SameTypeKeepsEveryBit) {
    for (unsigned bits = 0; bits < 65536; ++bits) {
        BFloat16 const value{static_cast<std::uint16_t>(bits)};
        EXPECT_EQ(cast_one<BFloat16>(SafetensorsDType::bf16, value).bits, value.bits);
        Float16 const half{value.bits};
        EXPECT_EQ(cast_one<Float16>(SafetensorsDType::f16, half).bits, half.bits);
    }
    auto const signalling = std::bit_cast<float>(0x7F800001U);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(cast_one<float>(SafetensorsDType::f32, signalling)),
              0x7F800001U);
}

TEST(Cast, WideningIsExact) {
    for (unsigned bits = 0; bits < 65536; ++bits) {
        BFloat16 const value{static_cast<std::uint16_t>(bits)};
        auto const wide = cast_one<float>(SafetensorsDType::bf16, value);
        EXPECT_EQ(std::bit_cast<std::uint32_t>(wide), std::uint32_t{bits} << 16);
    }
}

TEST(Cast, TiesGoToEven) {
    EXPECT_EQ(bf16_of(1.0), 0x3F80);
    EXPECT_EQ(bf16_of(1.0 + 0x1p-8), 0x3F80);      // half way, down to even
    EXPECT_EQ(bf16_of(1.0 + 3 * 0x1p-8), 0x3F82);  // half way, up to even
    EXPECT_EQ(f16_of(1.0 + 0x1p-11), 0x3C00);
    EXPECT_EQ(f16_of(1.0 + 3 * 0x1p-11), 0x3C02);
    EXPECT_EQ(f16_of(65520.0), 0x7C00);
    EXPECT_EQ(f16_of(65519.0), 0x7BFF);
}

TEST(Cast, DoublesAreRoundedOnce) {
    // Rounded to float first, these would become ties.
    EXPECT_EQ(bf16_of(1.0 + 0x1p-8 + 0x1p-40), 0x3F81);
    EXPECT_EQ(bf16_of(-(1.0 + 0x1p-8 + 0x1p-40)), 0xBF81);
    EXPECT_EQ(bf16_of(1.0 + 3 * 0x1p-8 - 0x1p-40), 0x3F81);
    EXPECT_EQ(f16_of(1.0 + 0x1p-11 + 0x1p-50), 0x3C01);
    EXPECT_EQ(cast_one<float>(SafetensorsDType::f64, 0.1), 0.1F);
}

TEST(Cast, ExtremeDoublesKeepTheirMeaning) {
    auto const infinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(bf16_of(infinity), 0x7F80);
    EXPECT_EQ(bf16_of(-infinity), 0xFF80);
    EXPECT_EQ(bf16_of(1e300), 0x7F80);
    EXPECT_EQ(bf16_of(0.0), 0);
    EXPECT_EQ(bf16_of(-0.0), 0x8000);
    EXPECT_EQ(bf16_of(1e-300), 0);
    EXPECT_TRUE(std::isnan(kernels::to_float(BFloat16{bf16_of(std::nan(""))})));
    EXPECT_TRUE(std::isnan(kernels::to_float(Float16{f16_of(std::nan(""))})));
}

}  // namespace
}  // namespace tesserank::io
