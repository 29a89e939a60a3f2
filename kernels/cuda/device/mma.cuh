#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace tesserank::kernels::cuda {

/// Loads four 8x8 matrices of 16-bit elements. Lanes 8 i to 8 i + 7 give the addresses of the rows
/// of matrix i, in shared memory and aligned to 16 bytes. Of each matrix, lane l gets the elements
/// 2 (l % 4) and 2 (l % 4) + 1 of row l / 4.
__device__ __forceinline__ void load_matrix_x4(std::uint32_t (&r)[4], void const* shared_row) {
    auto const row = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

/// The same of the transposed matrices: lane l gets the rows 2 (l % 4) and 2 (l % 4) + 1 of column
/// l / 4.
__device__ __forceinline__ void load_matrix_x4_transposed(std::uint32_t (&r)[4],
                                                          void const* shared_row) {
    auto const row = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

/// d += a b by a warp: a is 16x16 and b 16x8, both bf16, d is 16x8. With g = lane / 4 and
/// t = 2 (lane % 4), a lane holds
///   a[0] row g, columns t, t + 1;  a[1] row g + 8;  a[2], a[3] the same with columns t + 8, t + 9
///   b[0] rows t, t + 1 of column g;  b[1] rows t + 8, t + 9
///   d[0], d[1] row g, columns t, t + 1;  d[2], d[3] row g + 8
__device__ __forceinline__ void multiply_m16n8k16(float (&d)[4], std::uint32_t const (&a)[4],
                                                  std::uint32_t const (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace tesserank::kernels::cuda
