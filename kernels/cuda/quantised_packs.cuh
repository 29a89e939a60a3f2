#pragma once

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/floats.cuh"

#include <cstdint>

/// What quantises rows to fp8, each by a block.
namespace tesserank::kernels::cuda {

/// The bits of magnitudes are in the order of the magnitudes, and those of NaN are above all.
__device__ __forceinline__ std::uint32_t magnitude_bits(float value) {
    return __float_as_uint(value) & 0x7FFFFFFFU;
}

/// The largest of the block's values, in all threads. Once in a kernel; whole warps.
__device__ __forceinline__ std::uint32_t block_max(std::uint32_t value) {
    __shared__ std::uint32_t of_warps[warp_size];
    for (int distance = 16; distance > 0; distance /= 2) {
        value = max(value, __shfl_xor_sync(full_warp, value, distance));
    }
    if (threadIdx.x % warp_size == 0) of_warps[threadIdx.x / warp_size] = value;
    __syncthreads();
    for (unsigned warp = 0; warp < blockDim.x / warp_size; ++warp) {
        value = max(value, of_warps[warp]);
    }
    return value;
}

template <unsigned Width>
__device__ __forceinline__ void store_quantised(Float8* to, Floats<Width> const& values,
                                                float scale) {
    if constexpr (Width == 1) {
        *to = store_float<Float8>(values.at[0] / scale);
    } else {
        Pack<std::uint16_t, Width / 2> pairs;
#pragma unroll
        for (unsigned i = 0; i < Width / 2; ++i) {
            pairs.at[i] = pack_f8(values.at[2 * i] / scale, values.at[2 * i + 1] / scale);
        }
        *reinterpret_cast<Pack<std::uint16_t, Width / 2>*>(to) = pairs;
    }
}

}  // namespace tesserank::kernels::cuda
