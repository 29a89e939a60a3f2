#include "kernels/cuda/cublas_lt_library.hpp"
#include "kernels/cuda_device.hpp"

#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>

namespace tesserank::kernels {
namespace {

/// 13000 is "13.0".
std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// 0: there is no driver.
int driver_version() {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int runtime_version() {
    int version = 0;
    return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

std::string explain(cudaError_t code) {
    int const driver = driver_version();
    if (driver == 0) return "no NVIDIA driver on this machine (libcuda.so.1)";
    if (code == cudaErrorInsufficientDriver) {
        return "the driver is for CUDA " + version_text(driver) + ", this build needs one for " +
               version_text(runtime_version());
    }
    auto const* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    bool const hidden = visible != nullptr && (code == cudaErrorNoDevice || code == cudaSuccess);
    if (hidden) return "none is visible: CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\"";
    if (code == cudaSuccess) return "none on this machine";
    return std::string(cudaGetErrorName(code)) + ": " + cudaGetErrorString(code);
}

CudaDevice describe(int index, cudaDeviceProp const& properties) {
    CudaDevice device;
    device.index = index;
    device.name = properties.name;
    static_assert(sizeof(properties.uuid.bytes) == sizeof(device.uuid));
    std::memcpy(device.uuid.data(), properties.uuid.bytes, sizeof(device.uuid));
    std::array<char, 32> bus{};
    if (cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index) == cudaSuccess) {
        device.pci_bus_id = bus.data();
    }
    device.major = properties.major;
    device.minor = properties.minor;
    device.memory_bytes = properties.totalGlobalMem;
    device.multiprocessors = properties.multiProcessorCount;
    return device;
}

}  // namespace

CudaDevices find_cuda_devices() {
    int count = 0;
    auto code = cudaGetDeviceCount(&count);
    CudaDevices found;
    // One that has fallen off the bus does not hide the others.
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp properties{};
        auto const read = cudaGetDeviceProperties(&properties, i);
        if (read == cudaSuccess) found.list.push_back(describe(i, properties));
        if (read != cudaSuccess) code = read;
    }
    cudaGetLastError();  // forgets it
    if (found.list.empty()) found.why_none = explain(code);
    return found;
}

CudaLibraries find_cuda_libraries() {
    CudaLibraries found;
    found.runtime = version_text(runtime_version());
    if (int const driver = driver_version(); driver != 0) {
        found.driver = version_text(driver);
    } else {
        found.missing = "no NVIDIA driver (libcuda.so.1)";
    }
    try {
        auto const version = cuda::load_cublas_lt().version();
        found.cublas_lt = std::to_string(version / 10000) + "." +
                          std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
    } catch (SystemError const& error) {
        found.missing += (found.missing.empty() ? "" : "; ") + std::string(error.what());
    }
    return found;
}

}  // namespace tesserank::kernels
