#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

/// The shared memory that the launch asked for, aligned to 1024 bytes.
__device__ __forceinline__ std::byte* dynamic_shared() {
    extern __shared__ __align__(1024) std::byte dynamic_shared_memory[];
    return dynamic_shared_memory;
}

/// For kernels of launch_dependent(): returns when the grids before this one have ended and what
/// they wrote can be read. Older devices run such kernels in turn.
__device__ __forceinline__ void wait_for_previous_grid() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// The next grid may start when all blocks have called this or ended; it sees what this one writes
/// after its own wait_for_previous_grid() only. Kernels call it first: a grid that started early
/// waits for all of this one, which itself has waited.
__device__ __forceinline__ void let_next_grid_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

}  // namespace tesserank::kernels::cuda
