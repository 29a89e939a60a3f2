#pragma once

#include <cstddef>
#include <cstdint>

/// Waiting for a part of the threads of a block, in PTX.
namespace tesserank::kernels::cuda {

/// In shared memory: completes a phase whenever `arrivals` threads have arrived. The first phase
/// has parity 0, the next 1, then 0 again.
using Barrier = std::uint64_t;

__device__ __forceinline__ std::uint32_t barrier_address(Barrier const* barrier) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(barrier));
}

/// By one thread, before a __syncthreads() of all that use it.
__device__ __forceinline__ void initialise(Barrier* barrier, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier_address(barrier)),
                 "r"(arrivals)
                 : "memory");
}
__device__ __forceinline__ void arrive(Barrier* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier_address(barrier))
                 : "memory");
}
/// Until the phase of this parity is complete: with parity 1 a new barrier lets pass at once.
__device__ __forceinline__ void wait(Barrier* barrier, unsigned parity) {
    asm volatile(
        "{.reg .pred done; waiting: "
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; "
        "@!done bra waiting; }" ::"r"(barrier_address(barrier)),
        "r"(parity)
        : "memory");
}

/// One of the numbered barriers 1 .. 15 of the block, which opens when `threads` threads have
/// called either of these; whole warps call them.
__device__ __forceinline__ void sync_named(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
/// Without waiting.
__device__ __forceinline__ void arrive_named(int id, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

}  // namespace tesserank::kernels::cuda
