#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/onednn.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <algorithm>

namespace tesserank::kernels::kokkos {
namespace {

/// From this many rows on, converting weights and calling oneDNN beats our own kernel; measured by
/// tests/bench/gemm_bench.cpp.
constexpr std::size_t skinny_tokens = 16;

/// Rows of w that one task of the skinny kernel multiplies.
constexpr std::size_t rows_per_task = 64;

/// Rows of w that are converted to f32 at a time.
constexpr std::size_t rows_per_panel = 256;

/// Rows of x that are converted to f32 at a time.
constexpr std::size_t tokens_per_block = 512;

void add_bias(ConstTensorView const& bias, TensorView const& y) {
    if (bias.data == nullptr) return;
    visit_dtype(bias.dtype, [&]<class Element>(Element) {
        Element const* const offsets = bias.row<Element>(0);
        parallel_for("add_bias", y.rows, [=](std::size_t t) {
            float* const row = y.row<float>(t);
            for (std::size_t n = 0; n < y.cols; ++n) row[n] += to_float(offsets[n]);
        });
    });
}

/// An address inside a tensor, whatever its dtype.
std::byte const* address(ConstTensorView const& view, std::size_t row) {
    return view.data + row * view.stride * size_of(view.dtype);
}

void widen_rows(isa::KernelTable const& kernels, ConstTensorView const& source, float* destination,
                std::size_t stride) {
    parallel_for("widen", source.rows, [=, &kernels](std::size_t row) {
        float* const to = destination + row * stride;
        kernels.widen(source.dtype, address(source, row), to, source.cols);
        std::fill(to + source.cols, to + stride, 0.0F);
    });
}

void skinny_gemm(isa::KernelTable const& kernels, ConstTensorView const& x,
                 ConstTensorView const& w, TensorView const& y, std::vector<float>& scratch) {
    std::size_t const stride = isa::padded(x.cols);
    scratch.resize(std::max(scratch.size(), x.rows * stride));
    widen_rows(kernels, x, scratch.data(), stride);
    float const* const input = scratch.data();
    std::size_t const tasks = (w.rows + rows_per_task - 1) / rows_per_task;
    parallel_for("skinny_gemm", tasks, [=, &kernels](std::size_t task) {
        std::size_t const first = task * rows_per_task;
        kernels.dot({.x = input,
                     .tokens = x.rows,
                     .dtype = w.dtype,
                     .w = address(w, first),
                     .w_stride = w.stride,
                     .rows = std::min(rows_per_task, w.rows - first),
                     .depth = x.cols,
                     .y = y.row<float>(0) + first,
                     .y_stride = y.stride});
    });
}

/// y = x w^T for f32 x; other weights than f32 are converted panel by panel, which stays in the
/// cache.
void panel_gemm(isa::KernelTable const& kernels, ConstTensorView const& x, ConstTensorView const& w,
                TensorView const& y, float* scratch) {
    if (w.dtype == DType::f32) return onednn_gemm_f32(x, w, y);
    for (std::size_t first = 0; first < w.rows; first += rows_per_panel) {
        std::size_t const count = std::min(rows_per_panel, w.rows - first);
        widen_rows(kernels, w.rows_from(first, count), scratch, w.cols);
        onednn_gemm_f32(x, view_of(static_cast<float const*>(scratch), count, w.cols),
                        y.cols_from(first, count));
    }
}

void wide_gemm(isa::KernelTable const& kernels, ConstTensorView const& x, ConstTensorView const& w,
               TensorView const& y, std::vector<float>& scratch) {
    if (x.dtype == DType::bf16 && w.dtype == DType::bf16 && onednn_has_fast_bf16()) {
        return onednn_gemm_bf16(x, w, y);
    }
    std::size_t const panel = w.dtype == DType::f32 ? 0 : rows_per_panel * w.cols;
    std::size_t const block = x.dtype == DType::f32 ? x.rows : std::min(x.rows, tokens_per_block);
    std::size_t const block_size = x.dtype == DType::f32 ? 0 : block * x.cols;
    scratch.resize(std::max(scratch.size(), panel + block_size));
    for (std::size_t first = 0; first < x.rows; first += block) {
        std::size_t const count = std::min(block, x.rows - first);
        ConstTensorView input = x.rows_from(first, count);
        if (x.dtype != DType::f32) {
            float* const wide = scratch.data() + panel;
            widen_rows(kernels, input, wide, x.cols);
            input = view_of(static_cast<float const*>(wide), count, x.cols);
        }
        panel_gemm(kernels, input, w, y.rows_from(first, count), scratch.data());
    }
}

}  // namespace

void KokkosBackend::gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) {
    contracts::gemm(x, w, bias, y);
    if (y.size() == 0) return;
    if (y.dtype == DType::bf16) {
        std::vector<float> wide(y.size());
        auto const sums = view_of(wide.data(), y.rows, y.cols);
        gemm(x, w, bias, sums);
        return round(sums, y);
    }
    if (x.rows <= skinny_tokens || x.cols == 0) {
        skinny_gemm(*kernels_, x, w, y, gemm_scratch_);
    } else {
        wide_gemm(*kernels_, x, w, y, gemm_scratch_);
    }
    add_bias(bias, y);
}

}  // namespace tesserank::kernels::kokkos
