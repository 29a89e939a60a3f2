#pragma once

#include <bit>
#include <cstdint>

namespace tesserank::kernels {

/// What the elements of a row are divided by before they are rounded to fp8: makes the largest
/// magnitude 448, the largest of Float8. 1 for a row of zeros, NaN when the largest is not finite.
constexpr float scale_of_largest(float largest) {
    constexpr std::uint32_t infinity = 0x7F800000U, not_a_number = 0x7FC00000U;
    if (std::bit_cast<std::uint32_t>(largest) >= infinity) {
        return std::bit_cast<float>(not_a_number);
    }
    float const scale = largest / 448.0F;
    return scale == 0.0F ? 1.0F : scale;
}

}  // namespace tesserank::kernels
