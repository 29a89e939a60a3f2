#pragma once

#include "kernels/cuda/floats.cuh"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

/// How kernels of several processes, on one device or several, and their hosts talk through memory
/// that all of them reach, in PTX.
namespace tesserank::kernels::cuda {

/// Who reads the value with load_acquire() sees what this thread, and those that a barrier has
/// joined with it, wrote before.
__device__ __forceinline__ void store_release(std::uint32_t* word, std::uint32_t value) {
    asm volatile("st.release.sys.u32 [%0], %1;" ::"l"(word), "r"(value) : "memory");
}
__device__ __forceinline__ std::uint32_t load_acquire(std::uint32_t* word) {
    std::uint32_t value;
    asm volatile("ld.acquire.sys.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
    return value;
}

/// Elements col .. col + Width - 1 of a row that another device may have written since this kernel
/// began: past what this one's caches hold of it.
template <unsigned Width>
__device__ __forceinline__ Floats<Width> load_of_peer(float const* row, std::size_t col) {
    static_assert(Width == 1 || Width == 4);
    Floats<Width> pack;
    if constexpr (Width == 4) {
        asm volatile("ld.relaxed.sys.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                     : "=f"(pack.at[0]), "=f"(pack.at[1]), "=f"(pack.at[2]), "=f"(pack.at[3])
                     : "l"(row + col)
                     : "memory");
    } else {
        asm volatile("ld.relaxed.sys.global.f32 %0, [%1];"
                     : "=f"(pack.at[0])
                     : "l"(row + col)
                     : "memory");
    }
    return pack;
}

/// Between two looks at what another process writes. A GPU has nothing to do there: the others
/// are on their way. The emulation's runs its other threads.
__device__ __forceinline__ void look_again() {}

}  // namespace tesserank::kernels::cuda
