#pragma once

#include "kernels/cuda/token_order.cuh"

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Threads of a block that searches, parts of a histogram, and tokens that are sorted at once.
inline constexpr unsigned search_width = 1024;

/// How far below the largest logit tokens are, and what they weigh: e^-distance.
struct WeightScale {
    float largest = 0.0F;
    float temperature = 1.0F;
    float one = 1.0F;  ///< the weight at distance 0
    static constexpr float parts_per_unit = 32.0F;

    /// The weights of so many tokens fit 62 bits together.
    __device__ static WeightScale of(float largest, float temperature, std::uint32_t tokens) {
        return {largest, temperature,
                static_cast<float>(std::uint64_t{1} << (62 - width_of(tokens)))};
    }

    __device__ float distance(float logit) const {
        if (logit != logit) logit = -INFINITY;
        // Equal infinities have no difference.
        return logit == largest ? 0.0F : (largest - logit) / temperature;
    }
    __device__ std::uint64_t weight(float logit) const {
        return static_cast<std::uint64_t>(expf(-distance(logit)) * one);
    }
    /// Parts of a histogram by distance; the last one takes all whose weight hardly counts.
    __device__ unsigned part(float logit) const {
        return static_cast<unsigned>(
            fminf(distance(logit) * parts_per_unit, static_cast<float>(search_width - 1)));
    }
    /// All tokens not further away than `reach` lie in this part or before it.
    __device__ static unsigned part_within(double reach) {
        double const part = ceil(reach * static_cast<double>(parts_per_unit));
        return static_cast<unsigned>(fmax(0.0, fmin(part, static_cast<double>(search_width - 1))));
    }
};

enum class Measure : std::uint8_t { count, weight };

/// Counts and weights of tokens by parts, the most likely part first.
struct TokenHistogram {
    std::uint32_t counts[search_width];
    std::uint32_t low[search_width], high[search_width];  ///< of the weights

    __device__ void clear() {
        __syncthreads();  // earlier readers
        counts[threadIdx.x] = low[threadIdx.x] = high[threadIdx.x] = 0;
        __syncthreads();
    }
    /// With 32-bit additions, which shared memory does at once; of 64 bits it retries them.
    __device__ void add(unsigned part, std::uint64_t weight, std::uint32_t count = 1) {
        atomicAdd(&counts[part], count);
        if (weight == 0) return;
        auto const below = static_cast<std::uint32_t>(weight);
        bool const carry = atomicAdd(&low[part], below) > ~below;
        auto const above = static_cast<std::uint32_t>(weight >> 32) + (carry ? 1U : 0U);
        if (above != 0) atomicAdd(&high[part], above);
    }
    __device__ std::uint64_t amount(Measure measure, unsigned part) const {
        if (measure == Measure::count) return counts[part];
        return (std::uint64_t{high[part]} << 32) | low[part];
    }
};

}  // namespace tesserank::kernels::cuda
