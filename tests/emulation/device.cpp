#include "tests/emulation/device.hpp"

#include "tests/emulation/fault.hpp"
#include "tests/emulation/streams.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tesserank::emulation {
namespace {

int setting(char const* name, int fallback) {
    char const* const text = std::getenv(name);
    return text == nullptr ? fallback : std::atoi(text);
}

int devices() { return setting("TESSERANK_EMULATED_DEVICES", 1); }
int multiprocessors() { return setting("TESSERANK_EMULATED_MULTIPROCESSORS", 6); }

int chosen_device = 0;
cudaError_t last_error = cudaSuccess;

}  // namespace

int capability() { return setting("TESSERANK_EMULATED_CAPABILITY", 90); }
int current_device() { return chosen_device; }
std::size_t device_memory() {
    return static_cast<std::size_t>(setting("TESSERANK_EMULATED_MEMORY_MIB", 4096)) << 20;
}
std::size_t largest_shared_memory() {
    return (capability() >= 90 ? 227 : capability() == 80 ? 163 : 99) * std::size_t{1024};
}

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

}  // namespace tesserank::emulation

using namespace tesserank::emulation;

cudaError_t cudaGetLastError() {
    cudaError_t const error = faulted() ? cudaErrorLaunchFailure : last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError() { return faulted() ? cudaErrorLaunchFailure : last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
    if (devices() == 0) return result(cudaErrorNoDevice);
    *count = devices();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    *device = chosen_device;
    return result(device_state());
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= devices()) return result(cudaErrorInvalidDevice);
    chosen_device = device;
    return result(device_state());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device < 0 || device >= devices()) return result(cudaErrorInvalidDevice);
    cudaDeviceProp p{};
    std::snprintf(p.name, sizeof p.name, "Emulated GPU %d", device);
    std::snprintf(p.uuid.bytes, sizeof p.uuid.bytes, "emulated %d", device % 1000);
    p.totalGlobalMem = device_memory();
    p.sharedMemPerBlock = 48 * 1024;
    p.sharedMemPerBlockOptin = largest_shared_memory();
    p.sharedMemPerMultiprocessor = largest_shared_memory() + 1024;
    p.regsPerBlock = 65536;
    p.warpSize = 32;
    p.maxThreadsPerBlock = 1024;
    p.maxThreadsPerMultiProcessor = 2048;
    p.major = capability() / 10;
    p.minor = capability() % 10;
    p.multiProcessorCount = multiprocessors();
    p.l2CacheSize = 50 << 20;
    p.memoryBusWidth = 5120;
    p.canMapHostMemory = p.concurrentKernels = p.unifiedAddressing = 1;
    p.managedMemory = p.concurrentManagedAccess = 1;
    p.asyncEngineCount = 2;
    p.pciBusID = device + 1;
    *properties = p;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= devices()) return result(cudaErrorInvalidDevice);
    switch (attribute) {
        case cudaDevAttrClockRate:
        case cudaDevAttrMemoryClockRate:
            *value = 1000000;
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = multiprocessors();
            break;
        case cudaDevAttrGlobalMemoryBusWidth:
            *value = 5120;
            break;
        case cudaDevAttrL2CacheSize:
            *value = 50 << 20;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *value = capability() / 10;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = capability() % 10;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(largest_shared_memory());
            break;
        default:
            return result(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int device) {
    if (device < 0 || device >= devices()) return result(cudaErrorInvalidDevice);
    std::snprintf(text, static_cast<std::size_t>(bytes), "0000:%02x:00.0",
                  static_cast<unsigned>(device) + 1);
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
