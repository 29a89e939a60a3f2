#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// How Hopper's products find an operand in shared memory. It stands in panels of 64 bf16 = 128
/// bytes a row, rows one after the other, a panel on a multiple of 1024 bytes, and 16-byte chunk c
/// of row r is stored in place of chunk c xor (r % 8): the 128-byte swizzle.
///
/// `leading_bytes` lies from a panel to the next where rows are the summed dimension (as for V in
/// P V); without meaning where columns are (as for Q and K in Q K^T). Groups of 8 rows are 1024
/// bytes apart. To go on along the summed dimension add bytes to `start`: 32 for 16 columns within
/// a panel, 2048 for 16 rows.
/// Source: PTX ISA, "Asynchronous warpgroup-level matrix shared memory layout" and "matrix
/// descriptor".
__device__ inline std::uint64_t matrix_descriptor(std::byte const* start,
                                                  std::uint32_t leading_bytes) {
    auto const field = [](std::uint32_t bytes) { return std::uint64_t{(bytes & 0x3FFFFU) >> 4U}; };
    constexpr std::uint64_t swizzle_128 = 1;
    auto const address = static_cast<std::uint32_t>(__cvta_generic_to_shared(start));
    return field(address) | field(leading_bytes) << 16U | field(1024) << 32U | swizzle_128 << 62U;
}
/// The descriptor of the operand that starts `bytes` later.
__device__ inline std::uint64_t advanced(std::uint64_t descriptor, std::uint32_t bytes) {
    return descriptor + (bytes >> 4U);
}

}  // namespace tesserank::kernels::cuda
