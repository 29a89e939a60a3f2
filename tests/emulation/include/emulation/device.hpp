#pragma once

/// CUDA C++ as C++: qualifiers, the place of a thread, and what device code calls; a part of
/// cuda_runtime.h.

#include "tests/emulation/executor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
// Code for these architectures is there; which one the device has, it says when it is asked.
#define __CUDA_ARCH_FEAT_SM90_ALL 1

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

/// Of dynamic shared memory.
std::size_t __cvta_generic_to_shared(void const* address);

inline void __syncthreads() { tesserank::emulation::block_barrier(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { tesserank::emulation::fail("called __trap()"); }

#include "emulation/arithmetic.hpp"
#include "emulation/atomics.hpp"
#include "emulation/warp.hpp"
