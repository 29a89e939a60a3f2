#pragma once

#include <cublasLt.h>

namespace tesserank::kernels::cuda {

/// The functions of cuBLASLt that CublasLt calls.
struct CublasLtLibrary {
    decltype(&cublasLtGetVersion) version = nullptr;
    decltype(&cublasLtGetStatusString) status_text = nullptr;
    decltype(&cublasLtCreate) create = nullptr;
    decltype(&cublasLtDestroy) destroy = nullptr;
    decltype(&cublasLtMatmulDescCreate) create_description = nullptr;
    decltype(&cublasLtMatmulDescDestroy) destroy_description = nullptr;
    decltype(&cublasLtMatmulDescSetAttribute) set_description = nullptr;
    decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
    decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
    decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
    decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
    decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
    decltype(&cublasLtMatmulAlgoGetHeuristic) choose_algorithms = nullptr;
    decltype(&cublasLtMatmul) matmul = nullptr;
};

/// Of the library that the machine has. Errors: SystemError when it has none, or one without these
/// functions.
CublasLtLibrary load_cublas_lt();

}  // namespace tesserank::kernels::cuda
