#include "model/placement.hpp"

#include "kernels/error.hpp"
#include "parallel/partition.hpp"

#include <algorithm>
#include <array>

namespace tesserank::model {
namespace {

using parallel::Partition;
using parallel::Range;

/// The rows or columns that belong to a run of units. Units that share a block (query heads of one
/// kv head) each need the whole block, so the run is widened to whole blocks.
Range elements_of(Range units, WeightSpec const& weight) {
    if (units.count == 0) return {};
    std::size_t const first = units.begin / weight.units_per_share;
    std::size_t const last = (units.end() - 1) / weight.units_per_share;
    return {first * weight.rows_or_cols_per_unit,
            (last - first + 1) * weight.rows_or_cols_per_unit};
}

}  // namespace

std::string_view name_of(Placement placement) {
    return placement == Placement::shard ? "shard" : "replicate";
}

Placement PlacementPlan::of(std::string_view module) const {
    auto const found = placements.find(module);
    kernels::require(found != placements.end(), "the plan has no module of this name");
    return found->second;
}

PlacementPlan make_plan(std::span<ModuleSpec const> modules, std::string_view preset, int ranks) {
    static constexpr std::array<std::string_view, 3> presets{"shard", "replicate",
                                                             "replicate-attention"};
    bool const known = std::ranges::find(presets, preset) != presets.end();
    if (!known) {
        throw kernels::InputError("--placement is \"" + std::string(preset) +
                                  "\", expected shard, replicate or replicate-attention");
    }
    PlacementPlan plan{.ranks = ranks, .placements = {}};
    for (auto const& module : modules) {
        bool const whole =
            preset == "replicate" || module.kind == ModuleKind::norm ||
            (preset == "replicate-attention" && module.kind == ModuleKind::attention);
        plan.placements[module.name] = whole ? Placement::replicate : Placement::shard;
    }
    return plan;
}

std::vector<Region> regions_of(WeightSpec const& weight, std::size_t units, Placement placement,
                               int ranks) {
    Region const whole{{0, weight.rows}, {0, weight.cols}};
    std::vector<Region> regions;
    Partition const partition(units, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
        if (placement == Placement::replicate) {
            regions.push_back(whole);
            continue;
        }
        auto const share = partition.of(rank);
        bool const idle = share.count == 0 || (weight.cut == Cut::first_rank && rank != 0);
        Region region = idle ? Region{} : whole;
        if (!idle && weight.cut == Cut::rows) region.rows = elements_of(share, weight);
        if (!idle && weight.cut == Cut::cols) region.cols = elements_of(share, weight);
        regions.push_back(region);
    }
    return regions;
}

}  // namespace tesserank::model
