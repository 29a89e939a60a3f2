#pragma once

#include "kernels/error.hpp"

#include <cuda_runtime.h>

#include <string>

namespace tesserank::kernels::cuda {

/// Errors: SystemError with the call, and the error's name and text, unless it succeeded.
inline void check_cuda(cudaError_t code, char const* call) {
    if (code == cudaSuccess) return;
    throw SystemError(std::string(call) + ": " + cudaGetErrorName(code) + ": " +
                      cudaGetErrorString(code));
}

}  // namespace tesserank::kernels::cuda
