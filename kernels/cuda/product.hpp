#pragma once

#include "kernels/tensor.hpp"

namespace tesserank::kernels::cuda {

/// y = x w^T + bias on row-major views of device memory: x [T, K], w [N, K], bias [1, N] or no
/// data, y [T, N].
struct Product {
    ConstTensorView x, w, bias;
    TensorView y;
};

}  // namespace tesserank::kernels::cuda
