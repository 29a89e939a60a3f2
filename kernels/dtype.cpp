#include "kernels/dtype.hpp"

#include <array>
#include <utility>

namespace tesserank::kernels {
namespace {

constexpr std::array<std::pair<std::string_view, DType>, 3> names_in_files{
    {{"f32", DType::f32}, {"bf16", DType::bf16}, {"f16", DType::f16}}};

}  // namespace

std::string_view name_of(DType dtype) {
    for (auto const& [text, named] : names_in_files) {
        if (named == dtype) return text;
    }
    return "f8e4m3";
}

std::optional<DType> dtype_from_name(std::string_view name) {
    for (auto const& [text, dtype] : names_in_files) {
        if (text == name) return dtype;
    }
    return std::nullopt;
}

float to_float(Float16 value) {
    std::uint32_t const sign = (value.bits & 0x8000U) << 16;
    std::uint32_t const magnitude = value.bits & 0x7FFFU;
    if (magnitude >= 0x7C00U) {
        return std::bit_cast<float>(sign | 0x7F800000U | ((magnitude & 0x3FFU) << 13));
    }
    // Shifted into a float's fields the value is too small by 2^112; this also makes subnormals
    // right.
    auto const scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

template <>
Float16 from_float<Float16>(float value) {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    auto const sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
    std::uint32_t const magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U) return {static_cast<std::uint16_t>(sign | 0x7E00U)};
    if (magnitude >= 0x477FF000U) return {static_cast<std::uint16_t>(sign | 0x7C00U)};
    if (magnitude < 0x38800000U) {
        // Below the smallest normal half: adding 0.5 leaves the rounded subnormal in the low
        // mantissa bits.
        float const shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return {static_cast<std::uint16_t>(
            sign | (std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F)))};
    }
    std::uint32_t const rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
    return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

}  // namespace tesserank::kernels
