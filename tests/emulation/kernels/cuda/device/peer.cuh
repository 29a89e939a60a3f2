#pragma once

#include "kernels/cuda/floats.cuh"
#include "tests/emulation/executor.hpp"

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

inline void store_release(std::uint32_t* word, std::uint32_t value) {
    std::atomic_ref(*word).store(value, std::memory_order_release);
}
inline std::uint32_t load_acquire(std::uint32_t* word) {
    return std::atomic_ref(*word).load(std::memory_order_acquire);
}

template <unsigned Width>
Floats<Width> load_of_peer(float const* row, std::size_t col) {
    emulation::require_aligned(row + col, Width * sizeof(float), "load_of_peer");
    return load_pack<float, Width>(reinterpret_cast<std::byte const*>(row), col);
}

inline void look_again() { emulation::give_way(); }

}  // namespace tesserank::kernels::cuda
