# The GPU path: TESSERANK_CUDA, and what it needs. Only the CUDA runtime is linked, statically; all other libraries are
# loaded by the program, so that the same binary computes on the CPU where they are missing.

# 12.8 is the first that compiles for compute capability 10.0.
find_package(CUDAToolkit 12.8 QUIET)
find_package(cuBLASLt QUIET)
find_package(NCCL 2.19 QUIET)

set(cuda_missing "")
if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
  set(cuda_missing "no nvcc of CUDA 12.8 or newer was found (PATH, CUDAToolkit_ROOT)")
elseif(NOT TARGET CUDA::cudart_static)
  set(cuda_missing "the static CUDA runtime is not in ${CUDAToolkit_LIBRARY_DIR}")
elseif(NOT cuBLASLt_FOUND)
  set(cuda_missing "cublasLt.h is not in ${CUDAToolkit_INCLUDE_DIRS}")
endif()

# With the compiler of the other sources, which may be one that this nvcc does not take.
if(NOT CMAKE_CUDA_HOST_COMPILER)
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
endif()
if(NOT cuda_missing AND NOT DEFINED TESSERANK_CUDA)
  set(cuda_check ${CMAKE_BINARY_DIR}/CMakeFiles/cuda_check)
  file(WRITE ${cuda_check}.cu "#include <string>\n__global__ void kernel() {}\n")
  execute_process(COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} -ccbin ${CMAKE_CUDA_HOST_COMPILER} -std=c++20 -arch=sm_90
                          -c ${cuda_check}.cu -o ${cuda_check}.o
                  RESULT_VARIABLE cuda_check_result OUTPUT_VARIABLE cuda_check_text ERROR_VARIABLE cuda_check_text)
  if(NOT cuda_check_result EQUAL 0)
    string(STRIP "${cuda_check_text}" cuda_check_text)
    set(cuda_missing "${CUDAToolkit_NVCC_EXECUTABLE} does not compile with ${CMAKE_CUDA_HOST_COMPILER} \
(-DCMAKE_CUDA_HOST_COMPILER=... picks another one): ${cuda_check_text}")
  endif()
endif()

if(cuda_missing)
  set(cuda_default OFF)
else()
  set(cuda_default ON)
endif()
option(TESSERANK_CUDA "Build the CUDA backend" ${cuda_default})

if(NOT TESSERANK_CUDA)
  if(NOT cuda_missing)
    set(cuda_missing "TESSERANK_CUDA is OFF, though ${CUDAToolkit_NVCC_EXECUTABLE} is there")
  endif()
  message(STATUS "CUDA: not built: ${cuda_missing}")
  return()
endif()
if(cuda_missing)
  message(FATAL_ERROR "TESSERANK_CUDA is ON, but ${cuda_missing}")
endif()

if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 100-real 100-virtual CACHE STRING "GPUs to compile for")
endif()
enable_language(CUDA)
# Hopper's matrix products need 90a, which neither 90 nor native would name.
if(CMAKE_CUDA_ARCHITECTURES STREQUAL "native" AND CMAKE_CUDA_ARCHITECTURES_NATIVE)
  set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES_NATIVE})
elseif(CMAKE_CUDA_ARCHITECTURES MATCHES "^all")
  message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES is ${CMAKE_CUDA_ARCHITECTURES}, which leaves Hopper's 90a out. Name "
                      "the GPUs, such as 80-real;90a-real;100-real")
endif()
list(TRANSFORM CMAKE_CUDA_ARCHITECTURES REPLACE "^90($|-)" "90a\\1")
# CMake before 3.26 knows no flag for C++20 of nvcc 13 and fails when it generates.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
# The program finds the libraries that it loads beside the toolkit that it was made with, installed or not.
set(CMAKE_BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})
set(CMAKE_INSTALL_RPATH ${CUDAToolkit_LIBRARY_DIR})

if(NCCL_FOUND)
  set(nccl_text "NCCL ${NCCL_VERSION}")
else()
  set(nccl_text "without NCCL, whose nccl.h was not found")
endif()
message(STATUS "CUDA: ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}; ${nccl_text}")
