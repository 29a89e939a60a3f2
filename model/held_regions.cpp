#include "model/held_regions.hpp"

#include "kernels/error.hpp"
#include "model/forward_memory.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {

std::vector<Region> regions_held(DecoderConfig const& config, PlacementPlan const& plan,
                                 ModuleSpec const& module, WeightSpec const& weight) {
    auto regions = regions_of(weight, module.units, plan.of(module.name), plan.ranks);
    for (int rank = 0; rank < plan.ranks; ++rank) {
        auto& region = regions[static_cast<std::size_t>(rank)];
        if (module.kind == ModuleKind::embedding) {
            region = {embedding_rows(config, plan, rank), {0, weight.cols}};
        }
        if (module.kind == ModuleKind::lm_head && config.tied_embeddings) region = {};
    }
    return regions;
}

bool HeldTensor::whole_everywhere() const {
    Region const whole{{0, rows}, {0, cols}};
    return std::ranges::all_of(regions, [&](Region const& region) { return region == whole; });
}

std::map<std::string, HeldTensor, std::less<>> tensors_held(DecoderConfig const& config,
                                                            PlacementPlan const& plan) {
    std::map<std::string, HeldTensor, std::less<>> held;
    for (auto const& module : describe_modules(config)) {
        if (module.kind == ModuleKind::lm_head && config.tied_embeddings) continue;
        for (auto const& weight : module.weights) {
            auto const [place, added] = held.try_emplace(
                weight.tensor,
                HeldTensor{weight.rows, weight.cols, regions_held(config, plan, module, weight)});
            kernels::require(added, "two modules hold tensor " + weight.tensor);
        }
    }
    return held;
}

}  // namespace tesserank::model
