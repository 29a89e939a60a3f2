#include "app/plan_device.hpp"

#include "app/find_gpu.hpp"

namespace tesserank::app {

PlannedDevice planned_device(std::string_view wish, std::string_view measured) {
    if (wish == "auto" && !measured.empty()) wish = measured;
    if (wish != "auto" && wish != "cuda") {
        return {.backend = std::string(wish), .why_not_here = {}, .note = {}};
    }
    auto const gpu = find_gpu(0);
    auto const why_not = why_not_cuda({&gpu, 1});
    if (wish == "cuda") return {.backend = "cuda", .why_not_here = why_not, .note = {}};
    if (why_not.empty()) return {.backend = "cuda", .why_not_here = {}, .note = {}};
    return {.backend = "kokkos",
            .why_not_here = {},
            .note = "planned for the host, as there is no GPU here: --backend cuda plans for GPUs"};
}

}  // namespace tesserank::app
