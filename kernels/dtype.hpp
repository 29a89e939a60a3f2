#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tesserank::kernels {

/// Element type of weights and activations.
enum class DType : std::uint8_t { f32, bf16, f16 };

/// Bytes of one element.
constexpr std::size_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

/// "f32", "bf16" or "f16".
std::string_view name_of(DType dtype);

/// The inverse of name_of; nullopt for any other text.
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

constexpr float to_float(float value) { return value; }
constexpr float to_float(BFloat16 value) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
float to_float(Float16 value);

/// Rounds to nearest, ties to even; too large becomes infinity; NaN stays NaN.
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

/// Calls `visitor` with a value of the C++ type that `dtype` stands for: visit_dtype(d, [](auto
/// tag) { ... }).
template <class Visitor>
decltype(auto) visit_dtype(DType dtype, Visitor&& visitor) {
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
