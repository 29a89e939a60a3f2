#pragma once

#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/exponential.cuh"
#include "kernels/cuda/device/launch.cuh"

#include <cmath>
#include <cstdint>

/// What both kernels on tensor cores do with accumulators. A thread has two rows of a tile, 8
/// apart; element i is of row i / 2 % 2 and column 8 (i / 4) + 2 (lane % 4) + i % 2, and the four
/// lanes of a quad share the rows.
namespace tesserank::kernels::cuda {

/// e^x = 2^(x log2(e)), and scores are scaled anyway.
constexpr float log2_of_e = 1.4426950408889634F;

/// -infinity for keys that a row does not see. `first_key` is the position of column 0.
template <int Elements>
__device__ __forceinline__ void hide(float (&scores)[Elements], KeyRange const (&seen)[2],
                                     int first_key) {
    int const first = first_key + 2 * static_cast<int>(threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < Elements; ++i) {
        int const key = first + i / 4 * 8 + i % 2;
        KeyRange const& range = seen[i / 2 % 2];
        if (key < range.begin || key >= range.end) scores[i] = -INFINITY;
    }
}

/// Softmax of rows whose scores arrive tile by tile.
/// Source: Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867
struct RunningSoftmax {
    float largest[2] = {-INFINITY, -INFINITY};  ///< exponent so far: exponent_scale * score
    float sum[2] = {0.0F, 0.0F};                ///< of this thread's weights, relative to it

    /// Turns scores into weights 2^(exponent_scale score - largest). What was summed up with
    /// earlier weights is to be multiplied by `correction`: exactly 1 where no key was larger.
    template <int Elements>
    __device__ __forceinline__ void weigh(float (&scores)[Elements], float exponent_scale,
                                          float (&correction)[2]) {
        float shift[2];
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            float most = -INFINITY;
#pragma unroll
            for (int i = 2 * row; i < Elements; i += 4) {
                most = fmaxf(most, fmaxf(scores[i], scores[i + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(full_warp, most, 1));
            most = fmaxf(most, __shfl_xor_sync(full_warp, most, 2));
            most = fmaxf(largest[row], most * exponent_scale);
            // A row that has seen no key yet: -infinity minus itself would not be a number.
            shift[row] = most == -INFINITY ? 0.0F : most;
            correction[row] = fast_exp2(largest[row] - shift[row]);
            largest[row] = most;
            sum[row] *= correction[row];
        }
#pragma unroll
        for (int i = 0; i < Elements; ++i) {
            int const row = i / 2 % 2;
            scores[i] = fast_exp2(fmaf(scores[i], exponent_scale, -shift[row]));
            sum[row] += scores[i];
        }
    }

    /// What the weighted sums are multiplied by in the end.
    __device__ __forceinline__ float normaliser(int row) const {
        float whole = sum[row];
        whole += __shfl_xor_sync(full_warp, whole, 1);
        whole += __shfl_xor_sync(full_warp, whole, 2);
        return 1.0F / whole;
    }
};

template <int Elements>
__device__ __forceinline__ void multiply_rows(float (&values)[Elements], float const (&by)[2]) {
#pragma unroll
    for (int i = 0; i < Elements; ++i) values[i] *= by[i / 2 % 2];
}

/// 16 columns of weights from column 16 `step` on as the left operand of a product.
template <int Elements>
__device__ __forceinline__ void pack_weights(float const (&weights)[Elements], int step,
                                             std::uint32_t (&operand)[4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
        operand[r] = pack_bf16(weights[8 * step + 2 * r], weights[8 * step + 2 * r + 1]);
    }
}

/// Writes this thread's elements of y, in the first `Columns` columns of those it has: of the token
/// `token` of the tile and that 8 later, from column `first_column` on.
template <int Columns, int Elements>
__device__ __forceinline__ void store_result(PrefillCall const& call, QueryTile const& tile,
                                             int token, std::size_t first_column,
                                             float const (&values)[Elements]) {
    static_assert(Columns <= 2 * Elements);
#pragma unroll
    for (int row = 0; row < 2; ++row) {
        if (token + 8 * row >= tile.tokens) continue;
        std::size_t const start =
            (tile.row + static_cast<std::size_t>(token + 8 * row)) * call.y_stride + first_column +
            2 * (threadIdx.x % 4);
#pragma unroll
        for (int i = 2 * row; i < Columns / 2; i += 4) {
            std::size_t const at = start + static_cast<std::size_t>(i / 4 * 8);
            if (call.y_is_f32) {
                auto* const y = reinterpret_cast<float*>(call.y) + at;
                if (call.y_in_pairs) {
                    *reinterpret_cast<float2*>(y) = {values[i], values[i + 1]};
                } else {
                    y[0] = values[i];
                    y[1] = values[i + 1];
                }
            } else {
                auto* const y = reinterpret_cast<std::uint16_t*>(call.y) + at;
                std::uint32_t const pair = pack_bf16(values[i], values[i + 1]);
                if (call.y_in_pairs) {
                    *reinterpret_cast<std::uint32_t*>(y) = pair;
                } else {
                    y[0] = static_cast<std::uint16_t>(pair);
                    y[1] = static_cast<std::uint16_t>(pair >> 16U);
                }
            }
        }
    }
}

}  // namespace tesserank::kernels::cuda
