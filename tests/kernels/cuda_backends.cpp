#include "kernels/cuda/cuda_check.hpp"
#include "kernels/cuda_device.hpp"
#include "tests/kernels/backend_test.hpp"

#include <cuda_runtime.h>

#include <cstdlib>
#include <iostream>

namespace tesserank::kernels {

/// Without a GPU the program ends as a skipped test does.
std::vector<BackendMaker> backends_under_test() {
    if (auto const devices = find_cuda_devices(); devices.list.empty()) {
        std::cerr << "no GPU: " << devices.why_none << '\n';
        std::exit(77);
    }
    return {{"cuda", [] { return make_cuda_backend(0); }}};
}

/// Those of Hopper have.
bool quantises_activations() { return find_cuda_devices().list.at(0).major == 9; }
bool keeps_whole_sums() { return find_cuda_devices().list.at(0).name.starts_with("Emulated GPU"); }

void* allocate_for_test(std::size_t bytes) {
    void* memory = nullptr;
    if (bytes > 0) cuda::check_cuda(cudaMallocManaged(&memory, bytes), "cudaMallocManaged");
    return memory;
}

void free_for_test(void* memory) { cudaFree(memory); }

void settle() { cuda::check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }

}  // namespace tesserank::kernels
