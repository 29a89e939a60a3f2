#pragma once

#include "kernels/tensor.hpp"

/// What oneDNN does for us: large matrix products on the host.
namespace tesserank::kernels::kokkos {

/// y = x w^T, all f32, not empty.
void onednn_gemm_f32(ConstTensorView const& x, ConstTensorView const& w, TensorView const& y);

/// Whether this CPU multiplies bf16 natively (AVX512_BF16 or AMX).
bool onednn_has_fast_bf16();

/// y = x w^T, x and w bf16, y f32, not empty. Only where onednn_has_fast_bf16().
void onednn_gemm_bf16(ConstTensorView const& x, ConstTensorView const& w, TensorView const& y);

}  // namespace tesserank::kernels::kokkos
