#pragma once

#include "kernels/tensor.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

/// What is done to a row's elements on the way, each [1, N] or no data.
struct RowChange {
    ConstTensorView scales = {};  ///< f32, multiplied
    ConstTensorView bias = {};    ///< any dtype but fp8, then added
};

/// destination = source * scales + bias by row, in f32 and rounded to the destination's f32 or
/// bf16. The views have the same shape.
void convert_rows(ConstTensorView const& source, RowChange const& change,
                  TensorView const& destination, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
