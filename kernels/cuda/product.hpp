#pragma once

#include "kernels/tensor.hpp"

namespace tesserank::kernels::cuda {

/// y = (x w^T) * w_scales + bias on row-major views of device memory: x [T, K], w [N, K], bias
/// [1, N] or no data, y [T, N].
struct Product {
    ConstTensorView x, w, bias;
    TensorView y;
    ConstTensorView w_scales = {};  ///< [1, N] f32; no data: 1
    /// [1, T] f32, of the rows of an x that is fp8 as well; see CublasLt.
    ConstTensorView x_scales = {};
};

}  // namespace tesserank::kernels::cuda
