#pragma once

#include "tests/emulation/executor.hpp"
#include "tests/emulation/warpgroup.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

template <class V>
V load_once(V const* address) {
    static_assert(sizeof(V) == 4 || sizeof(V) == 8 || sizeof(V) == 16);
    emulation::require_aligned(address, sizeof(V), "load_once");
    return *address;
}

inline void copy_async16(void* shared, void const* global, bool valid) {
    emulation::require_aligned(shared, 16, "copy_async16 to shared memory");
    if (valid) emulation::require_aligned(global, 16, "copy_async16 from global memory");
    emulation::start_copy({.target = shared, .source = valid ? global : nullptr, .bytes = 16});
}

inline void store16(void* shared, uint4 value) {
    emulation::require_aligned(shared, 16, "store16");
    *static_cast<uint4*>(shared) = value;
    emulation::written_by_thread(shared);
}

inline void commit_copies() { emulation::commit_copies(); }

template <int N>
void wait_for_copies() {
    emulation::wait_for_copies(N);
}

inline void prefetch_l2(void const*) {}

}  // namespace tesserank::kernels::cuda
