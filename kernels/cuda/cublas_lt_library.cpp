#include "kernels/cuda/cublas_lt_library.hpp"

#include "kernels/library.hpp"

namespace tesserank::kernels::cuda {

CublasLtLibrary load_cublas_lt() {
    // What is used of it is the same in both versions, but for the scales of fp8 rows, which 12.9
    // brought.
    Library const library("cuBLASLt 12 or 13", {"libcublasLt.so.13", "libcublasLt.so.12"});
    CublasLtLibrary functions;
    library.find(functions.version, "cublasLtGetVersion");
    library.find(functions.status_text, "cublasLtGetStatusString");
    library.find(functions.create, "cublasLtCreate");
    library.find(functions.destroy, "cublasLtDestroy");
    library.find(functions.create_description, "cublasLtMatmulDescCreate");
    library.find(functions.destroy_description, "cublasLtMatmulDescDestroy");
    library.find(functions.set_description, "cublasLtMatmulDescSetAttribute");
    library.find(functions.create_layout, "cublasLtMatrixLayoutCreate");
    library.find(functions.destroy_layout, "cublasLtMatrixLayoutDestroy");
    library.find(functions.create_preference, "cublasLtMatmulPreferenceCreate");
    library.find(functions.destroy_preference, "cublasLtMatmulPreferenceDestroy");
    library.find(functions.set_preference, "cublasLtMatmulPreferenceSetAttribute");
    library.find(functions.choose_algorithms, "cublasLtMatmulAlgoGetHeuristic");
    library.find(functions.matmul, "cublasLtMatmul");
    return functions;
}

}  // namespace tesserank::kernels::cuda
