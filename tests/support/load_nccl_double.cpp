#include "kernels/dtype.hpp"
#include "tests/support/nccl_double.hpp"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <stdexcept>

namespace tesserank::test {
namespace {

/// What the double takes from the program: the linker must not leave it out.
struct Taken {
    decltype(&cudaLaunchHostFunc) launch = cudaLaunchHostFunc;
    decltype(&cudaStreamSynchronize) synchronize = cudaStreamSynchronize;
    decltype(&cudaStreamIsCapturing) is_capturing = cudaStreamIsCapturing;
    decltype(&cudaStreamGetCaptureInfo) capture_info = cudaStreamGetCaptureInfo;
    decltype(&cudaUserObjectCreate) create_object = cudaUserObjectCreate;
    decltype(&cudaGraphRetainUserObject) retain_object = cudaGraphRetainUserObject;
    float (*widen)(kernels::Float16) = kernels::to_float;
    kernels::Float16 (*narrow)(float) = kernels::from_float<kernels::Float16>;
};
[[gnu::used]] Taken const taken;

}  // namespace

NcclDouble& nccl_double(char const* library) {
    void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    auto* const control =
        reinterpret_cast<NcclDouble* (*)()>(dlsym(handle, "tesserank_nccl_double"));
    return *control();
}

}  // namespace tesserank::test
