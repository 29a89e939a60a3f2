#pragma once

#include "kernels/tensor.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

/// destination = source + bias by row, in f32 and rounded to the destination's f32 or bf16. bias
/// [1, N] any dtype or no data; the views have the same shape.
void convert_rows(ConstTensorView const& source, ConstTensorView const& bias,
                  TensorView const& destination, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
