#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Reads memory that nothing writes while the kernel runs and that is read once: it goes past L1.
/// Aligned to its size of 4, 8 or 16 bytes.
template <class V>
__device__ __forceinline__ V load_once(V const* address) {
    static_assert(sizeof(V) == 4 || sizeof(V) == 8 || sizeof(V) == 16);
    if constexpr (sizeof(V) == 16) {
        uint4 words;
        asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                     : "l"(address));
        return std::bit_cast<V>(words);
    } else if constexpr (sizeof(V) == 8) {
        uint2 words;
        asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];"
                     : "=r"(words.x), "=r"(words.y)
                     : "l"(address));
        return std::bit_cast<V>(words);
    } else {
        std::uint32_t word;
        asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(word) : "l"(address));
        return std::bit_cast<V>(word);
    }
}

/// Starts copying 16 bytes, aligned to 16, from global to shared memory; zeros when not `valid`.
/// The thread may read them after wait_for_copies(), others after a barrier behind that.
__device__ __forceinline__ void copy_async16(void* shared, void const* global, bool valid) {
    auto const target = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(global),
                 "r"(valid ? 16 : 0)
                 : "memory");
}

/// Writes 16 bytes of shared memory, as a thread does of what it cannot copy: products of other
/// threads read them after publish_to_products(), which the emulation checks.
__device__ __forceinline__ void store16(void* shared, uint4 value) {
    *static_cast<uint4*>(shared) = value;
}

/// Makes a group of the copies that the thread has started since the last one.
__device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most N of the thread's newest groups are under way.
template <int N>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ void prefetch_l2(void const* global) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(global));
}

}  // namespace tesserank::kernels::cuda
