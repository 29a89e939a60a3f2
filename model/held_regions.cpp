#include "model/held_regions.hpp"

#include "kernels/error.hpp"
#include "model/forward_memory.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

void join_neighbours(std::string const& tensor, std::vector<Region>& regions) {
    std::ranges::sort(regions, {}, [](Region const& region) { return region.rows.begin; });
    std::vector<Region> joined;
    for (auto const& region : regions) {
        bool const apart = joined.empty() || joined.back().rows.end() < region.rows.begin;
        if (apart) {
            joined.push_back(region);
            continue;
        }
        auto& last = joined.back();
        kernels::require(last.rows.end() == region.rows.begin && last.cols == region.cols,
                         "two modules hold the same rows of tensor " + tensor);
        last.rows.count += region.rows.count;
    }
    regions = std::move(joined);
}

}  // namespace

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
    std::vector const whole{Region{{0, rows}, {0, cols}}};
    return std::ranges::all_of(regions, [&](auto const& held) { return held == whole; });
}

std::map<std::string, HeldTensor, std::less<>> tensors_held(DecoderConfig const& config,
                                                            PlacementPlan const& plan) {
    std::map<std::string, HeldTensor, std::less<>> tensors;
    for (auto const& module : describe_modules(config)) {
        if (module.kind == ModuleKind::lm_head && config.tied_embeddings) continue;
        for (auto const& weight : module.weights) {
            auto const [rows, cols] = matrix_of(weight.shape_in_file());
            auto& tensor =
                tensors.try_emplace(weight.tensor, HeldTensor{rows, cols, {}}).first->second;
            tensor.regions.resize(static_cast<std::size_t>(plan.ranks));
            auto const added = regions_held(config, plan, module, weight);
            for (std::size_t rank = 0; rank < added.size(); ++rank) {
                if (added[rank].rows.count > 0) tensor.regions[rank].push_back(added[rank]);
            }
        }
    }
    for (auto& [name, tensor] : tensors) {
        for (auto& regions : tensor.regions) join_neighbours(name, regions);
    }
    return tensors;
}

}  // namespace tesserank::model
