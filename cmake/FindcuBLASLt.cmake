# cuBLASLt::headers: what is needed to call cuBLASLt. The library is loaded at run time (kernels/cuda), not linked.
find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(cuBLASLt REQUIRED_VARS CUBLASLT_INCLUDE_DIR)
mark_as_advanced(CUBLASLT_INCLUDE_DIR)
if(cuBLASLt_FOUND AND NOT TARGET cuBLASLt::headers)
  add_library(cuBLASLt::headers INTERFACE IMPORTED)
  target_include_directories(cuBLASLt::headers INTERFACE ${CUBLASLT_INCLUDE_DIR})
endif()
