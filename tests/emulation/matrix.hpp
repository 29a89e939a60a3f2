#pragma once

#include <cstdint>
#include <span>

/// What the lanes of a warp do together with small matrices. The fragments are those that the PTX
/// ISA documents for ldmatrix and mma.m16n8k16.
namespace tesserank::emulation {

enum class Order : std::uint8_t { rows, columns };

/// ldmatrix of as many 8x8 matrices as there are registers.
void load_matrices(std::span<std::uint32_t> registers, void const* row, Order order);

/// d += a b of bf16, a [16, 16], b [16, 8], d f32 [16, 8].
void multiply_m16n8k16(std::span<float, 4> d, std::span<std::uint32_t const, 4> a,
                       std::span<std::uint32_t const, 2> b);

}  // namespace tesserank::emulation
