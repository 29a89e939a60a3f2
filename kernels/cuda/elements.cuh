#pragma once

#include "kernels/cuda/floats.cuh"

#include <cstddef>

namespace tesserank::kernels::cuda {

/// Memory whose type is known when the kernel runs: for what is too little to compile a kernel for
/// each type.
struct ConstElements {
    void const* data = nullptr;
    DType dtype = DType::f32;
};
struct Elements {
    void* data = nullptr;
    DType dtype = DType::f32;
};

__device__ __forceinline__ float load_element(ConstElements from, std::size_t index) {
    if (from.dtype == DType::f8e4m3) {
        return load_float(static_cast<Float8 const*>(from.data)[index]);
    }
    return load_floats<1>(static_cast<std::byte const*>(from.data), from.dtype, index).at[0];
}

/// Neighbouring elements of any dtype; see load_floats.
template <unsigned Width>
__device__ __forceinline__ Floats<Width> load_elements(ConstElements from, std::size_t index) {
    auto const* const data = static_cast<std::byte const*>(from.data);
    if (from.dtype == DType::f8e4m3) return load_pack<Float8, Width>(data, index);
    return load_floats<Width>(data, from.dtype, index);
}

/// To f32 or bf16, which are what activations are stored as.
__device__ __forceinline__ void store_element(Elements to, std::size_t index, float value) {
    store_floats<1>(static_cast<std::byte*>(to.data), to.dtype, index, {{value}});
}

}  // namespace tesserank::kernels::cuda
