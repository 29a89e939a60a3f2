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
    } else {
        std::uint16_t bits;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
        return {bits};
    }
}

}  // namespace tesserank::kernels::cuda
