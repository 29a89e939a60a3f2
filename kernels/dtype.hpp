#pragma once

#include "kernels/error.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tesserank::kernels {

/// Element type of weights and activations. f8e4m3 is for weights that have scales
/// (Backend::quantise_rows), and for nothing else.
enum class DType : std::uint8_t { f32, bf16, f16, f8e4m3 };

/// Bytes of one element.
constexpr std::size_t size_of(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return 4;
        case DType::f8e4m3:
            return 1;
        default:
            return 2;
    }
}

/// "f32", "bf16", "f16" or "f8e4m3".
std::string_view name_of(DType dtype);

/// The inverse of name_of for the types that files have: f32, bf16 and f16; nullopt for any other
/// text.
std::optional<DType> dtype_from_name(std::string_view name);

/// The upper 16 bits of a float: 8 exponent bits, 7 mantissa bits.
struct BFloat16 {
    std::uint16_t bits;
    bool operator==(BFloat16 const&) const = default;
};

/// IEEE 754 binary16: 5 exponent bits, 10 mantissa bits.
struct Float16 {
    std::uint16_t bits;
    bool operator==(Float16 const&) const = default;
};

/// The OCP 8-bit floating point E4M3: 4 exponent bits, 3 mantissa bits, no infinities; 448 is the
/// largest number.
struct Float8 {
    std::uint8_t bits;
    bool operator==(Float8 const&) const = default;
};

constexpr float to_float(float value) { return value; }
constexpr float to_float(BFloat16 value) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
float to_float(Float16 value);
constexpr float to_float(Float8 value) {
    std::uint32_t const sign = (value.bits & 0x80U) << 24;
    std::uint32_t const magnitude = value.bits & 0x7FU;
    if (magnitude == 0x7FU) return std::bit_cast<float>(sign | 0x7FC00000U);
    // Shifted into a float's fields the value is too small by 2^120; this also makes subnormals
    // right.
    float const scaled = std::bit_cast<float>(magnitude << 20) * 0x1p120F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

/// Rounds to nearest, ties to even; too large becomes infinity, or 448 in Float8, which has none;
/// NaN stays NaN.
template <class T>
T from_float(float value);
template <>
constexpr float from_float<float>(float value) {
    return value;
}
template <>
constexpr BFloat16 from_float<BFloat16>(float value) {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    if (value != value) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
    return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}
template <>
Float16 from_float<Float16>(float value);
template <>
constexpr Float8 from_float<Float8>(float value) {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    std::uint32_t const sign = (bits >> 24) & 0x80U;
    std::uint32_t const magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t rounded = 0;
    if (magnitude > 0x7F800000U) {
        rounded = 0x7FU;
    } else if (magnitude >= 0x43E00000U) {  // 448
        rounded = 0x7EU;
    } else if (magnitude < 0x3C800000U) {
        // Below the smallest normal number, 2^-6: adding 2^14 leaves the rounded subnormal in the
        // low mantissa bits.
        float const shifted = std::bit_cast<float>(magnitude) + 0x1p14F;
        rounded = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0x1p14F);
    } else {
        rounded = (magnitude + 0x7FFFFU + ((magnitude >> 20) & 1U) - 0x3C000000U) >> 20;
    }
    return {static_cast<std::uint8_t>(sign | rounded)};
}

/// The DType of a C++ element type.
template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
    return DType::f32;
}
template <>
constexpr DType dtype_of<BFloat16>() {
    return DType::bf16;
}
template <>
constexpr DType dtype_of<Float16>() {
    return DType::f16;
}
template <>
constexpr DType dtype_of<Float8>() {
    return DType::f8e4m3;
}

/// Calls `visitor` with a value of the C++ type that `dtype` stands for: visit_dtype(d, [](auto
/// tag) { ... }). Not of f8e4m3, which means nothing without its scales: LogicError.
template <class Visitor>
decltype(auto) visit_dtype(DType dtype, Visitor&& visitor) {
    require(dtype != DType::f8e4m3, "f8e4m3 where an operation takes no scales");
    switch (dtype) {
        case DType::bf16:
            return visitor(BFloat16{});
        case DType::f16:
            return visitor(Float16{});
        default:
            return visitor(float{});
    }
}

}  // namespace tesserank::kernels
