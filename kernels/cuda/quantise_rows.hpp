#pragma once

#include "kernels/tensor.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

/// Backend::quantise_rows, of weights or activations.
void quantise_rows(ConstTensorView const& source, TensorView const& quantised,
                   TensorView const& scales, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
