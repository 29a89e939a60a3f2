#pragma once

#include "kernels/dtype.hpp"

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace tesserank::kernels::cuda {

/// Two bf16 numbers in a word, the first in its lower half; rounded to nearest, ties to even.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
    std::uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

__device__ __forceinline__ float2 unpack_bf16(std::uint32_t word) {
    return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000U)};
}

/// The two fp8 (e4m3) numbers in the lower or, with `first` = 2, the upper half of a word as bf16,
/// which is exact; the NaN of fp8 becomes 480.
template <unsigned first>
__device__ __forceinline__ std::uint32_t widen_f8(std::uint32_t word) {
    // Each byte on top of a half-word; then sign, and exponent and mantissa where bf16 has the
    // lower bits of its exponent: 2^120 too small, and subnormals right as well.
    std::uint32_t const bytes = __byte_perm(word, 0, first == 0 ? 0x1404 : 0x3424);
    std::uint32_t const scaled = (bytes & 0x80008000U) | ((bytes & 0x7F007F00U) >> 4);
    std::uint32_t result;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;"
        : "=r"(result)
        : "r"(scaled), "r"(0x7B807B80U), "r"(0x80008000U));  // times 2^120, minus zero
    return result;
}

/// Two fp8 (e4m3) numbers, the first in the lower half; rounded as from_float<Float8> does it.
__device__ __forceinline__ std::uint16_t pack_f8(float low, float high) {
#if __CUDA_ARCH__ >= 890
    std::uint16_t both;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(both) : "f"(high), "f"(low));
    return both;
#else
    std::uint32_t const upper = from_float<Float8>(high).bits;
    return static_cast<std::uint16_t>(from_float<Float8>(low).bits | upper << 8);
#endif
}

template <class T>
__device__ __forceinline__ float load_float(T value) {
    if constexpr (std::is_same_v<T, Float16>) {
        float wide;
        asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
        return wide;
    } else {
        return to_float(value);
    }
}

/// Rounds to nearest, ties to even.
template <class T>
__device__ __forceinline__ T store_float(float value) {
    if constexpr (std::is_same_v<T, float>) {
        return value;
    } else if constexpr (std::is_same_v<T, BFloat16>) {
        return {static_cast<std::uint16_t>(pack_bf16(value, 0.0F))};
    } else if constexpr (std::is_same_v<T, Float8>) {
        return from_float<Float8>(value);
    } else {
        std::uint16_t bits;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
        return {bits};
    }
}

}  // namespace tesserank::kernels::cuda
