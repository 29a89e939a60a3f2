#pragma once

#include "kernels/dtype.hpp"

#include <cuda_runtime.h>

#include <cstdint>

namespace tesserank::kernels::cuda {

inline std::uint32_t pack_bf16(float low, float high) {
    return from_float<BFloat16>(low).bits | std::uint32_t{from_float<BFloat16>(high).bits} << 16;
}

inline float2 unpack_bf16(std::uint32_t word) {
    return {to_float(BFloat16{static_cast<std::uint16_t>(word)}),
            to_float(BFloat16{static_cast<std::uint16_t>(word >> 16)})};
}

template <unsigned first>
std::uint32_t widen_f8(std::uint32_t word) {
    auto const widened = [&](unsigned index) {
        auto const bits = static_cast<std::uint8_t>(word >> (8 * index));
        return (bits & 0x7FU) == 0x7FU ? std::bit_cast<float>(0x43F00000U | (bits & 0x80U) << 24)
                                       : to_float(Float8{bits});
    };
    return pack_bf16(widened(first), widened(first + 1));
}

inline std::uint16_t pack_f8(float low, float high) {
    std::uint32_t const upper = from_float<Float8>(high).bits;
    return static_cast<std::uint16_t>(from_float<Float8>(low).bits | upper << 8);
}

template <class T>
float load_float(T value) {
    return to_float(value);
}

template <class T>
T store_float(float value) {
    return from_float<T>(value);
}

}  // namespace tesserank::kernels::cuda
