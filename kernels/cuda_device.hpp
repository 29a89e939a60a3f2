#pragma once

#include "kernels/backend.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::kernels {

/// The lowest major compute capability of a GPU that we compute on: bf16 and cp.async in hardware.
inline constexpr int oldest_cuda_capability = 8;

/// A GPU as the CUDA runtime sees it.
struct CudaDevice {
    int index = 0;
    std::string name;
    std::array<std::byte, 16> uuid{};
    std::string pci_bus_id;    ///< "0000:3b:00.0"
    int major = 0, minor = 0;  ///< compute capability
    std::size_t memory_bytes = 0;
    int multiprocessors = 0;
};

/// The devices of this process that can be read, or why there is none: the build has no CUDA, no
/// driver, none visible. Never throws and touches no device.
struct CudaDevices {
    std::vector<CudaDevice> list;
    std::string why_none;
};
CudaDevices find_cuda_devices();

/// Which libraries a run on GPUs needs and where they were found; an empty text where missing.
struct CudaLibraries {
    std::string runtime, driver, cublas_lt;  ///< versions
    std::string missing;                     ///< what is wrong with those that are
};
CudaLibraries find_cuda_libraries();

/// Errors: SystemError when the device or a library is not there.
std::unique_ptr<Backend> make_cuda_backend(int device);

/// The cudaStream_t on which a CUDA backend queues its operations; null for any other backend.
void* cuda_stream_of(Backend& backend);

}  // namespace tesserank::kernels
