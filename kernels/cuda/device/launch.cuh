#pragma once

#include "kernels/cuda/cuda_check.hpp"
#include "kernels/cuda/device/grid.cuh"

#include <cuda_runtime.h>

#include <cstddef>
#include <source_location>
#include <string>
#include <utility>

namespace tesserank::kernels::cuda {

struct LaunchShape {
    dim3 grid;  ///< with a dimension of 0, nothing is launched
    dim3 block;
    std::size_t shared_bytes = 0;                                  ///< of dynamic_shared()
    std::source_location place = std::source_location::current();  ///< for errors
};

namespace detail {

/// Whether the devices of this process, which are alike, know dependent launches.
inline bool grids_can_overlap() {
    static bool const known = [] {
        int device = 0, major = 0;
        check_cuda(cudaGetDevice(&device), "cudaGetDevice");
        check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                   "cudaDeviceGetAttribute");
        return major >= 9;
    }();
    return known;
}

inline std::string to_string(dim3 const& size) {
    return std::to_string(size.x) + " x " + std::to_string(size.y) + " x " + std::to_string(size.z);
}

/// Errors: SystemError that says where what was to be launched, unless it succeeded.
inline void check_launch(cudaError_t code, char const* call, LaunchShape const& shape) {
    if (code == cudaSuccess) return;
    cudaGetLastError();  // or the next launch would be blamed for it
    auto const what = std::string(call) + " at " + shape.place.file_name() + ":" +
                      std::to_string(shape.place.line()) + " (grid " + to_string(shape.grid) +
                      ", block " + to_string(shape.block) + ", " +
                      std::to_string(shape.shared_bytes) + " bytes of shared memory)";
    check_cuda(code, what.c_str());
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), LaunchShape const& shape, cudaStream_t stream,
            bool dependent, Arguments&&... arguments) {
    if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
    constexpr std::size_t granted_to_all = 48 * 1024;
    if (shape.shared_bytes > granted_to_all) {
        check_launch(cudaFuncSetAttribute(reinterpret_cast<void const*>(kernel),
                                          cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          static_cast<int>(shape.shared_bytes)),
                     "cudaFuncSetAttribute", shape);
    }
    cudaLaunchAttribute overlap{};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = shape.grid;
    config.blockDim = shape.block;
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = stream;
    config.attrs = &overlap;
    config.numAttrs = dependent && grids_can_overlap() ? 1 : 0;
    check_launch(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...),
                 "cudaLaunchKernelEx", shape);
}

}  // namespace detail

/// Queues a kernel. Errors: SystemError when it cannot be launched.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), LaunchShape const& shape, cudaStream_t stream,
            Arguments&&... arguments) {
    detail::launch(kernel, shape, stream, false, std::forward<Arguments>(arguments)...);
}

/// The same for a kernel that may start before the one before it has ended (programmatic dependent
/// launch): it calls wait_for_previous_grid() before it touches what earlier kernels write or read.
template <class... Parameters, class... Arguments>
void launch_dependent(void (*kernel)(Parameters...), LaunchShape const& shape, cudaStream_t stream,
                      Arguments&&... arguments) {
    detail::launch(kernel, shape, stream, true, std::forward<Arguments>(arguments)...);
}

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned full_warp = 0xffffffff;

/// The sum over the lanes of a warp, the same in all of them.
__device__ __forceinline__ float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(full_warp, value, distance);
    }
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(full_warp, value, distance));
    }
    return value;
}

}  // namespace tesserank::kernels::cuda
