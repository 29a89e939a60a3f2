#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Logits as integers of the same order. NaN is the smallest, as minus infinity is; the two zeros
/// are equal. Never 0.
__device__ __forceinline__ std::uint32_t likelihood_of(float logit) {
    if (logit != logit) logit = -INFINITY;
    std::uint32_t const bits = __float_as_uint(logit + 0.0F);  // -0 + 0 is +0
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

__device__ __forceinline__ float logit_of(std::uint32_t likelihood) {
    return __uint_as_float((likelihood >> 31) != 0 ? likelihood & 0x7FFFFFFFU : ~likelihood);
}

/// std::bit_width
__device__ __forceinline__ unsigned width_of(std::uint64_t number) {
    auto const zeros = [](std::uint64_t half) {
        return static_cast<unsigned>(__clz(static_cast<int>(half)));
    };
    return (number >> 32) != 0 ? 64 - zeros(number >> 32) : 32 - zeros(number);
}

/// Tokens with their logits as integers, each another one: the more likely, the larger, and on ties
/// the lower id has the larger one. Choosing by logit and id becomes comparing numbers; 0 is no
/// token.
struct TokenOrder {
    unsigned id_bits = 31;

    /// Ids are below `vocabulary`: fewer bits leave less to search.
    static TokenOrder of_ids_below(std::size_t vocabulary) {
        return {static_cast<unsigned>(std::bit_width(vocabulary))};
    }

    __device__ std::uint64_t last_id() const { return (std::uint64_t{1} << id_bits) - 1; }
    __device__ std::uint64_t number(std::uint32_t likelihood, std::uint32_t token) const {
        return (std::uint64_t{likelihood} << id_bits) | (last_id() - token);
    }
    __device__ std::int32_t token(std::uint64_t number) const {
        return static_cast<std::int32_t>(last_id() - (number & last_id()));
    }
    __device__ float logit(std::uint64_t number) const {
        return logit_of(static_cast<std::uint32_t>(number >> id_bits));
    }
};

}  // namespace tesserank::kernels::cuda
