#include "kernels/cuda_device.hpp"

namespace tesserank::kernels {
namespace {

constexpr char const* absent = "this build has no CUDA (-DTESSERANK_CUDA=ON needs nvcc)";

}  // namespace

CudaDevices find_cuda_devices() { return {.list = {}, .why_none = absent}; }

CudaLibraries find_cuda_libraries() {
    return {.runtime = {}, .driver = {}, .cublas_lt = {}, .missing = absent};
}

std::unique_ptr<Backend> make_cuda_backend(int /*device*/) { throw SystemError(absent); }

void* cuda_stream_of(Backend& /*backend*/) { return nullptr; }

}  // namespace tesserank::kernels
