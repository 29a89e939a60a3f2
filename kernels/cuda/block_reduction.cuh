#pragma once

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/log_sum.cuh"

#include <cstdint>

namespace tesserank::kernels::cuda {

/// What the functions below pass between warps. One block has at most 32.
struct BlockMemory {
    std::uint64_t numbers[warp_size];
    float largest[warp_size], scaled[warp_size];
};

__device__ inline LogSum warp_log_sum(LogSum sum) {
    for (int distance = 16; distance > 0; distance /= 2) {
        sum = sum_of(sum, {__shfl_xor_sync(full_warp, sum.largest, distance),
                           __shfl_xor_sync(full_warp, sum.scaled, distance)});
    }
    // Lanes have added in different orders: one result for all.
    return {__shfl_sync(full_warp, sum.largest, 0), __shfl_sync(full_warp, sum.scaled, 0)};
}

/// Of all threads, known to all of them. The order of addition is fixed.
__device__ inline LogSum block_log_sum(LogSum sum, BlockMemory& memory) {
    unsigned const lane = threadIdx.x % warp_size;
    sum = warp_log_sum(sum);
    __syncthreads();  // earlier readers of the memory
    if (lane == 0) {
        memory.largest[threadIdx.x / warp_size] = sum.largest;
        memory.scaled[threadIdx.x / warp_size] = sum.scaled;
    }
    __syncthreads();
    bool const one = lane < blockDim.x / warp_size;
    return warp_log_sum(one ? LogSum{memory.largest[lane], memory.scaled[lane]} : LogSum{});
}

template <class Combine>
__device__ std::uint64_t warp_reduce(std::uint64_t value, Combine combine) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = combine(value, __shfl_xor_sync(full_warp, value, distance));
    }
    return value;
}

/// Of all threads, known to all of them; 0 is neutral to `combine`.
template <class Combine>
__device__ std::uint64_t block_reduce(std::uint64_t value, BlockMemory& memory, Combine combine) {
    unsigned const lane = threadIdx.x % warp_size;
    value = warp_reduce(value, combine);
    __syncthreads();  // earlier readers of the memory
    if (lane == 0) memory.numbers[threadIdx.x / warp_size] = value;
    __syncthreads();
    return warp_reduce(lane < blockDim.x / warp_size ? memory.numbers[lane] : 0, combine);
}

__device__ inline std::uint64_t larger(std::uint64_t a, std::uint64_t b) { return a > b ? a : b; }

__device__ inline std::uint64_t block_largest(std::uint64_t value, BlockMemory& memory) {
    return block_reduce(value, memory, larger);
}

__device__ inline std::uint64_t block_total(std::uint64_t value, BlockMemory& memory) {
    return block_reduce(value, memory, [](std::uint64_t a, std::uint64_t b) { return a + b; });
}

__device__ inline std::uint64_t warp_running_sum(std::uint64_t value) {
    unsigned const lane = threadIdx.x % warp_size;
    for (unsigned distance = 1; distance < warp_size; distance *= 2) {
        std::uint64_t const before = __shfl_up_sync(full_warp, value, distance);
        if (lane >= distance) value += before;
    }
    return value;
}

/// The sum of the values of this thread and of those before it.
__device__ inline std::uint64_t block_running_sum(std::uint64_t value, BlockMemory& memory) {
    unsigned const lane = threadIdx.x % warp_size;
    unsigned const warp = threadIdx.x / warp_size;
    value = warp_running_sum(value);
    __syncthreads();  // earlier readers of the memory
    if (lane == warp_size - 1) memory.numbers[warp] = value;
    __syncthreads();
    std::uint64_t const sums =
        warp_running_sum(lane < blockDim.x / warp_size ? memory.numbers[lane] : 0);
    std::uint64_t const before = __shfl_sync(full_warp, sums, static_cast<int>(warp + 31) % 32);
    return warp == 0 ? value : value + before;
}

}  // namespace tesserank::kernels::cuda
