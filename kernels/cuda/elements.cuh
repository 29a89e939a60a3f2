#pragma once

#include "kernels/cuda/device/convert.cuh"
#include "kernels/dtype.hpp"

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
    switch (from.dtype) {
        case DType::bf16:
            return load_float(static_cast<BFloat16 const*>(from.data)[index]);
        case DType::f16:
            return load_float(static_cast<Float16 const*>(from.data)[index]);
        case DType::f8e4m3:
            return load_float(static_cast<Float8 const*>(from.data)[index]);
        default:
            return static_cast<float const*>(from.data)[index];
    }
}

/// To f32 or bf16, which are what activations are stored as.
__device__ __forceinline__ void store_element(Elements to, std::size_t index, float value) {
    if (to.dtype == DType::bf16) {
        static_cast<BFloat16*>(to.data)[index] = store_float<BFloat16>(value);
    } else {
        static_cast<float*>(to.data)[index] = value;
    }
}

}  // namespace tesserank::kernels::cuda
