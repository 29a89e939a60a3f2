#pragma once

#include "tests/emulation/matrix.hpp"

#include <cuda_runtime.h>

#include <cstdint>

namespace tesserank::kernels::cuda {

inline void load_matrix_x4(std::uint32_t (&r)[4], void const* shared_row) {
    emulation::load_matrices(r, shared_row, emulation::Order::rows);
}
inline void load_matrix_x4_transposed(std::uint32_t (&r)[4], void const* shared_row) {
    emulation::load_matrices(r, shared_row, emulation::Order::columns);
}

inline void multiply_m16n8k16(float (&d)[4], std::uint32_t const (&a)[4],
                              std::uint32_t const (&b)[2]) {
    emulation::multiply_m16n8k16(d, a, b);
}

}  // namespace tesserank::kernels::cuda
