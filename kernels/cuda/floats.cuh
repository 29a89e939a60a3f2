#pragma once

#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/dtype.hpp"

#include <cstddef>
#include <cstdint>

/// Neighbouring elements of a tensor of any dtype, moved with as few instructions as their
/// alignment allows and computed with as f32.
namespace tesserank::kernels::cuda {

/// Aligned to its size, but to 16 bytes at most.
template <class T, unsigned Width>
struct alignas(Width * sizeof(T) < 16 ? Width * sizeof(T) : 16) Pack {
    T at[Width];
};

template <unsigned Width>
using Floats = Pack<float, Width>;

template <class T, unsigned Width>
__device__ __forceinline__ Floats<Width> load_pack(std::byte const* data, std::size_t index) {
    auto const pack = *reinterpret_cast<Pack<T, Width> const*>(data + index * sizeof(T));
    Floats<Width> floats;
#pragma unroll
    for (unsigned i = 0; i < Width; ++i) floats.at[i] = load_float(pack.at[i]);
    return floats;
}

/// Elements index .. index + Width - 1 of a row, the first of which is aligned as Pack is.
template <unsigned Width>
__device__ __forceinline__ Floats<Width> load_floats(std::byte const* data, DType dtype,
                                                     std::size_t index) {
    switch (dtype) {
        case DType::bf16:
            return load_pack<BFloat16, Width>(data, index);
        case DType::f16:
            return load_pack<Float16, Width>(data, index);
        default:
            return load_pack<float, Width>(data, index);
    }
}

/// The inverse, for activations: f32 or bf16.
template <unsigned Width>
__device__ __forceinline__ void store_floats(std::byte* data, DType dtype, std::size_t index,
                                             Floats<Width> const& floats) {
    if (dtype == DType::f32) {
        *reinterpret_cast<Floats<Width>*>(data + index * sizeof(float)) = floats;
    } else if constexpr (Width == 1) {
        *reinterpret_cast<BFloat16*>(data + index * sizeof(BFloat16)) =
            store_float<BFloat16>(floats.at[0]);
    } else {
        Pack<std::uint32_t, Width / 2> words;
#pragma unroll
        for (unsigned i = 0; i < Width / 2; ++i) {
            words.at[i] = pack_bf16(floats.at[2 * i], floats.at[2 * i + 1]);
        }
        *reinterpret_cast<Pack<std::uint32_t, Width / 2>*>(data + index * sizeof(BFloat16)) = words;
    }
}

}  // namespace tesserank::kernels::cuda
