#include "kernels/cuda/cuda_backend.hpp"

#include "kernels/cuda/backend_memory.hpp"
#include "kernels/cuda/cublas_lt.hpp"
#include "kernels/cuda_device.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace tesserank::kernels::cuda {
namespace {

/// Makes it the device of this thread.
cudaDeviceProp open_device(int device) {
    auto const there = find_cuda_devices();
    if (there.list.empty()) throw SystemError("no GPU: " + there.why_none);
    if (std::ranges::find(there.list, device, &CudaDevice::index) == there.list.end()) {
        throw SystemError("no GPU " + std::to_string(device) + ": this process sees " +
                          std::to_string(there.list.size()));
    }
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    if (properties.major < oldest_cuda_capability) {
        throw SystemError(std::string(properties.name) + " has compute capability " +
                          std::to_string(properties.major) + "." +
                          std::to_string(properties.minor) +
                          ", but the kernels need 8.0 or newer: use --backend kokkos");
    }
    check_cuda(cudaSetDevice(device), "cudaSetDevice");
    return properties;
}

}  // namespace

CudaBackend::CudaBackend(int device)
    : device_{device},
      properties_{open_device(device)},
      stream_{make_stream()},
      cublas_lt_{std::make_unique<CublasLt>()},
      memory_{std::make_unique<Memory>(ScratchRing(allocate(ScratchRing::capacity)))},
      counters_{allocate(counters * sizeof(std::uint32_t))} {}

/// What is queued may still use the memory.
CudaBackend::~CudaBackend() { cudaStreamSynchronize(stream_.get()); }

}  // namespace tesserank::kernels::cuda

namespace tesserank::kernels {

std::unique_ptr<Backend> make_cuda_backend(int device) {
    return std::make_unique<cuda::CudaBackend>(device);
}

void* cuda_stream_of(Backend& backend) {
    auto const* const on_gpu = dynamic_cast<cuda::CudaBackend const*>(&backend);
    return on_gpu == nullptr ? nullptr : on_gpu->stream();
}

}  // namespace tesserank::kernels
