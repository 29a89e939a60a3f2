#pragma once

#include <cuda_runtime.h>

#include <cmath>

namespace tesserank::kernels::cuda {

/// The sum of e^logit, in two parts so that nothing overflows and a difference to its logarithm
/// keeps its digits. A NaN among the logits makes the sum NaN.
struct LogSum {
    float largest = -INFINITY;
    float scaled = 0.0F;  ///< sum of e^(logit - largest)

    /// logit - largest; equal infinities have no difference.
    __device__ static float above(float logit, float largest) {
        return logit == largest ? 0.0F : logit - largest;
    }
    __device__ float logarithm() const { return largest + logf(scaled); }
    __device__ float log_probability(float logit) const {
        return above(logit, largest) - logf(scaled);
    }
};

__device__ inline LogSum sum_of(LogSum a, LogSum b) {
    float const largest = fmaxf(a.largest, b.largest);
    return {largest, a.scaled * expf(LogSum::above(a.largest, largest)) +
                         b.scaled * expf(LogSum::above(b.largest, largest))};
}

/// log(e^a + e^b), as parts of a vocabulary are joined.
__device__ inline float add_logarithms(float a, float b) {
    if (a != a || b != b) return NAN;
    float const larger = fmaxf(a, b);
    float const smaller = fminf(a, b);
    return std::isinf(smaller) ? larger : larger + log1pf(expf(smaller - larger));
}

}  // namespace tesserank::kernels::cuda
