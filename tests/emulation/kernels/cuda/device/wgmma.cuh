#pragma once

#include "kernels/cuda/matrix_descriptor.hpp"
#include "tests/emulation/warpgroup.hpp"

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

template <std::size_t N>
void multiply_shared(float (&d)[N / 2], std::uint64_t a, std::uint64_t b, bool accumulate) {
    emulation::start_product({.d = d, .a = a, .b = b, .accumulate = accumulate});
}
template <std::size_t N>
void multiply_registers(float (&d)[N / 2], std::uint32_t const (&a)[4], std::uint64_t b) {
    emulation::start_product({.d = d, .a_registers = a, .b = b, .b_rows_summed = true});
}

inline void begin_products() { emulation::begin_products(); }
inline void commit_products() { emulation::commit_products(); }
template <int N>
void wait_for_products() {
    emulation::wait_for_products(N);
}
/// Compilers need it, but the emulation writes registers through their addresses.
template <class T, std::size_t N>
void pin(T (&)[N]) {}

inline void publish_to_products() { emulation::publish_to_products(); }

template <int N>
void shrink_registers() {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
}
template <int N>
void grow_registers() {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
}

constexpr bool has_group_products = true;

}  // namespace tesserank::kernels::cuda
