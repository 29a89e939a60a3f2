#pragma once

#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/dtype.hpp"

#include <cstdint>

/// One step of a product of few rows of x with weights that are streamed: which of its columns each
/// lane of a warp reads, and what it does with them.
namespace tesserank::kernels::cuda {

inline constexpr unsigned step_columns = 64;  ///< columns

/// How a step of a row is dealt out to the 4 lanes that share it, each 16 columns. Which column
/// stands where in an instruction does not matter as long as x and w agree.
template <class W>
struct StepDeal;
/// 8 columns of either half, so that the lanes read 64 bytes together.
template <>
struct StepDeal<BFloat16> {
    static constexpr unsigned lane_columns = 8, next_columns = step_columns / 2;
    static constexpr unsigned tiles_ahead = 4;
    static constexpr unsigned loads = 2;
};
template <>
struct StepDeal<Float8> {
    static constexpr unsigned lane_columns = 16, next_columns = 8;
    static constexpr unsigned tiles_ahead = 8;
    static constexpr unsigned loads = 1;
};

/// A lane's part of a step of a row of w.
template <class W>
struct StepWeights {
    uint4 vectors[StepDeal<W>::loads];
};
/// And of x.
struct StepTokens {
    uint4 vectors[2];
};

/// `from` is the element of `column`; zeros from `depth` on, a multiple of a vector's elements.
template <class W>
__device__ __forceinline__ StepWeights<W> load_weights(W const* from, unsigned column,
                                                       unsigned depth) {
    StepWeights<W> weights{};
#pragma unroll
    for (unsigned i = 0; i < StepDeal<W>::loads; ++i) {
        constexpr unsigned distance = StepDeal<W>::next_columns;
        if (column + i * distance < depth) {
            weights.vectors[i] = load_once(reinterpret_cast<uint4 const*>(from + i * distance));
        }
    }
    return weights;
}

/// x is what earlier kernels have written: an ordinary load, after the wait for them.
template <class W>
__device__ __forceinline__ StepTokens load_tokens(BFloat16 const* from, unsigned column,
                                                  unsigned depth) {
    StepTokens tokens{};
#pragma unroll
    for (unsigned i = 0; i < 2; ++i) {
        constexpr unsigned distance = StepDeal<W>::next_columns;
        if (column + i * distance < depth) {
            tokens.vectors[i] = *reinterpret_cast<uint4 const*>(from + i * distance);
        }
    }
    return tokens;
}

/// A lane's 4 neighbouring columns become the 2 + 2 of one instruction.
__device__ __forceinline__ void multiply(float (&sums)[4], StepWeights<BFloat16> const& low,
                                         StepWeights<BFloat16> const& high,
                                         StepTokens const& tokens) {
#pragma unroll
    for (unsigned i = 0; i < 2; ++i) {
        uint4 const a = low.vectors[i];
        uint4 const b = high.vectors[i];
        uint4 const x = tokens.vectors[i];
        multiply_m16n8k16(sums, {a.x, b.x, a.y, b.y}, {x.x, x.y});
        multiply_m16n8k16(sums, {a.z, b.z, a.w, b.w}, {x.z, x.w});
    }
}

__device__ __forceinline__ void multiply_word(float (&sums)[4], std::uint32_t low,
                                              std::uint32_t high, std::uint32_t x,
                                              std::uint32_t next_x) {
    multiply_m16n8k16(sums,
                      {widen_f8<0>(low), widen_f8<0>(high), widen_f8<2>(low), widen_f8<2>(high)},
                      {x, next_x});
}

__device__ __forceinline__ void multiply(float (&sums)[4], StepWeights<Float8> const& low,
                                         StepWeights<Float8> const& high,
                                         StepTokens const& tokens) {
    uint4 const a = low.vectors[0];
    uint4 const b = high.vectors[0];
    uint4 const x = tokens.vectors[0];
    uint4 const y = tokens.vectors[1];
    multiply_word(sums, a.x, b.x, x.x, x.y);
    multiply_word(sums, a.y, b.y, x.z, x.w);
    multiply_word(sums, a.z, b.z, y.x, y.y);
    multiply_word(sums, a.w, b.w, y.z, y.w);
}

}  // namespace tesserank::kernels::cuda
