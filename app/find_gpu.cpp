#include "app/find_gpu.hpp"

#include "app/pci_cores.hpp"
#include "kernels/cuda_device.hpp"
#include "parallel/nccl.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace tesserank::app {
namespace {

template <std::size_t Size>
void set_text(std::array<char, Size>& to, std::string_view text) {
    std::ranges::copy(text.substr(0, Size - 1), to.begin());
}

}  // namespace

RankGpu find_gpu(int rank_on_node) {
    RankGpu gpu;
    // So that a GPU is missed that the CUDA libraries do not find.
    std::error_code ignored;
    gpu.is_there = std::filesystem::exists("/proc/driver/nvidia/version", ignored);
    pick_device(kernels::find_cuda_devices(), rank_on_node, gpu);
    if (gpu.device == -1) return gpu;
    if (auto const libraries = kernels::find_cuda_libraries(); !libraries.missing.empty()) {
        gpu.device = -1;
        set_text(gpu.why_not, libraries.missing);
    }
    auto const nccl = parallel::find_nccl();
    gpu.has_nccl = nccl.why_none.empty();
    set_text(gpu.why_no_nccl, nccl.why_none);
    gpu.near_cores = cores_near_pci(gpu.pci_bus_id.data());
    return gpu;
}

}  // namespace tesserank::app
