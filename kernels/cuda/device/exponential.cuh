#pragma once

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

/// 2^x within 2 units in the last place: one instruction, where exp2f() takes care of results below
/// 2^-126, which are 0 here.
__device__ __forceinline__ float fast_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

}  // namespace tesserank::kernels::cuda
