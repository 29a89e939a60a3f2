#include "app/backend.hpp"

#include "app/find_gpu.hpp"
#include "kernels/cuda_device.hpp"

namespace tesserank::app {

std::unique_ptr<kernels::Backend> make_backend(std::string_view name, int device) {
    if (name == "cuda") return kernels::make_cuda_backend(device);
    if (name == "reference") return kernels::make_reference_backend();
    return kernels::make_kokkos_backend();
}

std::unique_ptr<kernels::Backend> make_backend_alone(std::string_view wish) {
    auto const gpu = find_gpu(0);
    return make_backend(choose_backend(wish, {&gpu, 1}).name, gpu.device);
}

}  // namespace tesserank::app
