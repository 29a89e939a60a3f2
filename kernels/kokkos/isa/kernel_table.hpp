#pragma once

#include "kernels/dtype.hpp"

#include <cstddef>
#include <vector>

/// The inner loops of GEMM and attention, compiled once per instruction set and chosen when the
/// program starts. Every instruction set adds the terms of a dot product in the same order: term k
/// belongs to lane k % 16, the lanes are added in a fixed tree. (The portable one rounds products
/// first where the compiler has no fused multiply-add.)
namespace tesserank::kernels::kokkos::isa {

constexpr std::size_t lanes = 16;

/// `count` rounded up to whole groups of lanes.
constexpr std::size_t padded(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

/// y[t, n] = x[t] . w[n] for all t < tokens, n < rows.
struct DotTask {
    float const* x = nullptr;  ///< [tokens, padded(depth)], the padding is zero
    std::size_t tokens = 0;
    DType dtype = DType::f32;  ///< of w
    void const* w = nullptr;   ///< [rows, depth]
    std::size_t w_stride = 0;  ///< elements
    std::size_t rows = 0;
    std::size_t depth = 0;
    float* y = nullptr;
    std::size_t y_stride = 0;
};

/// Positions begin .. end-1.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Softmax attention of some queries that share one kv head of one sequence.
struct AttentionTask {
    float const* q = nullptr;  ///< [rows, padded(head_dim)], the padding is zero
    std::size_t rows = 0;
    Range const* visible = nullptr;  ///< [rows], not empty
    DType dtype = DType::f32;        ///< of k and v: f32 or bf16
    void const* k = nullptr;         ///< position 0 of the sequence and head
    void const* v = nullptr;
    std::size_t kv_stride = 0;  ///< elements
    std::size_t head_dim = 0;
    float scale = 1.0F;
    float* scores = nullptr;  ///< scratch [rows, positions_per_block]
    float* state = nullptr;   ///< scratch [rows, 2]
    float* y = nullptr;       ///< [rows, padded(head_dim)]
};

/// Keys are taken in blocks that start at multiples of this, so that the order in which one query's
/// terms are added depends on its own position alone.
constexpr std::size_t positions_per_block = 64;

struct KernelTable {
    char const* name;
    void (*dot)(DotTask const& task);
    void (*attend)(AttentionTask const& task);
    /// Converts `count` elements to f32.
    void (*widen)(DType dtype, void const* source, float* destination, std::size_t count);
};

KernelTable const& portable_kernels();
/// x86-64 only, as are the next two.
KernelTable const& avx2_kernels();
KernelTable const& avx512_kernels();

/// Those that this CPU can run, the fastest first.
std::vector<KernelTable const*> runnable_kernels();
/// The first of them.
KernelTable const& kernels_of_this_cpu();

}  // namespace tesserank::kernels::kokkos::isa
