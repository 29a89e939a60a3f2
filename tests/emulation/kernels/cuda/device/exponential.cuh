#pragma once

#include <cuda_runtime.h>

#include <limits>

namespace tesserank::kernels::cuda {

inline float fast_exp2(float x) {
    float const y = exp2f(x);
    return y < std::numeric_limits<float>::min() ? 0.0F : y;
}

}  // namespace tesserank::kernels::cuda
