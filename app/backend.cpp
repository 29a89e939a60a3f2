#include "app/backend.hpp"

#include "app/device_choice.hpp"
#include "app/usage_error.hpp"
#include "kernels/cuda_device.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>

namespace tesserank::app {
namespace {

void check_word(std::string_view option, std::string_view word,
                std::initializer_list<std::string_view> allowed, std::string_view expected) {
    if (std::ranges::find(allowed, word) != allowed.end()) return;
    throw UsageError(std::string(option) + " is \"" + std::string(word) + "\", expected " +
                     std::string(expected));
}

}  // namespace

std::unique_ptr<kernels::Backend> make_backend(std::string_view name, int device) {
    if (name == "cuda") return kernels::make_cuda_backend(device);
    if (name == "reference") return kernels::make_reference_backend();
    return kernels::make_kokkos_backend();
}

std::unique_ptr<kernels::Backend> make_backend_alone() {
    RankGpu gpu;
    pick_device(kernels::find_cuda_devices(), 0, gpu);
    return make_backend(choose_backend("auto", {&gpu, 1}).name, gpu.device);
}

void check_backend_word(std::string_view backend) {
    check_word("--backend", backend, {"auto", "cuda", "kokkos", "reference"},
               "auto, cuda, kokkos or reference");
}

void check_comm_word(std::string_view comm) {
    check_word("--comm", comm, {"auto", "nccl", "mpi"}, "auto, nccl or mpi");
}

}  // namespace tesserank::app
