#pragma once

#include "model/module_spec.hpp"
#include "model/weight_source.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// How a module's weights are spread over the ranks.
enum class Placement : std::uint8_t { shard, replicate };

std::string_view name_of(Placement placement);

/// The placement of every module, by name: data, and nothing in model/ assumes that two modules
/// have the same.
struct PlacementPlan {
    int ranks = 1;
    std::map<std::string, Placement, std::less<>> placements;

    Placement of(std::string_view module) const;
};

/// Presets: "shard" (everything but norms), "replicate", "replicate-attention" (attention whole,
/// the rest sharded). Errors: InputError listing the presets.
PlacementPlan make_plan(std::span<ModuleSpec const> modules, std::string_view preset, int ranks);

/// What each rank holds of a weight; empty regions where it holds nothing.
std::vector<Region> regions_of(WeightSpec const& weight, std::size_t units, Placement placement,
                               int ranks);

}  // namespace tesserank::model
