#pragma once

#include "kernels/backend.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

template <Activation kind>
__device__ __forceinline__ float activate(float x) {
    constexpr float root_of_2_over_pi = 0.797884560802865356F;
    if constexpr (kind == Activation::silu) {
        return x / (1.0F + expf(-x));
    } else if constexpr (kind == Activation::gelu) {
        return x * normcdff(x);  // 1 + erf would cancel
    } else {
        return 0.5F * x * (1.0F + tanhf(root_of_2_over_pi * (x + 0.044715F * x * x * x)));
    }
}

/// The same of a kind that is known when the kernel runs.
__device__ __forceinline__ float activate(Activation kind, float x) {
    if (kind == Activation::silu) return activate<Activation::silu>(x);
    if (kind == Activation::gelu) return activate<Activation::gelu>(x);
    return activate<Activation::gelu_tanh>(x);
}

}  // namespace tesserank::kernels::cuda
