#include "model/placement.hpp"

#include "kernels/error.hpp"
#include "parallel/partition.hpp"

#include <algorithm>

namespace tesserank::model {
namespace {

using kernels::require;
using parallel::LayoutKind;
using parallel::Partition;
using parallel::Range;
using Kind = Placement::Kind;

/// The rows or columns that belong to a run of units. Units that share a block (query heads of one
/// kv head) each need the whole block, so the run is widened to whole blocks.
Range elements_of(Range units, WeightSpec const& weight) {
    std::size_t const size = weight.cut == Cut::cols ? weight.cols : weight.rows;
    std::size_t const covered = size / weight.rows_or_cols_per_unit * weight.units_per_share;
    std::size_t const begin = std::max(units.begin, weight.first_unit);
    std::size_t const end = std::min(units.end(), weight.first_unit + covered);
    if (begin >= end) return {};
    std::size_t const first = (begin - weight.first_unit) / weight.units_per_share;
    std::size_t const last = (end - 1 - weight.first_unit) / weight.units_per_share;
    return {first * weight.rows_or_cols_per_unit,
            (last - first + 1) * weight.rows_or_cols_per_unit};
}

/// What a rank with these units holds of a weight that is cut.
Region share_of(WeightSpec const& weight, Range units, bool first_rank) {
    Region const whole{{weight.first_row, weight.rows}, {0, weight.cols}};
    if (units.count == 0 || (weight.cut == Cut::first_rank && !first_rank)) return {};
    if (weight.cut == Cut::none || weight.cut == Cut::first_rank) return whole;
    auto const part = elements_of(units, weight);
    if (part.count == 0) return {};
    if (weight.cut == Cut::cols) return {whole.rows, part};
    return {{weight.first_row + part.begin, part.count}, whole.cols};
}

bool deals(PlacementPlan const& plan, bool vision) {
    auto const is_dealt = [&](std::string_view name, bool dealt) {
        return dealt && is_vision(name) == vision;
    };
    return std::ranges::any_of(plan.placements,
                               [&](auto const& entry) {
                                   return is_dealt(entry.first,
                                                   entry.second == Placement::split_batch);
                               }) ||
           std::ranges::any_of(plan.streams, [&](auto const& entry) {
               return is_dealt(entry.first, entry.second.kind == LayoutKind::Kind::batch_sharded);
           });
}

}  // namespace

std::string name_of(Placement placement) {
    switch (placement.kind) {
        case Kind::shard:
            return "shard";
        case Kind::replicate:
            return "replicate";
        case Kind::split_batch:
            return "split-batch";
        case Kind::single:
            break;
    }
    return "single:" + std::to_string(placement.rank);
}

std::optional<Placement> placement_from_name(std::string_view name) {
    for (auto const placement : {Placement::shard, Placement::replicate, Placement::split_batch}) {
        if (name == name_of(placement)) return placement;
    }
    constexpr std::string_view prefix = "single:";
    if (!name.starts_with(prefix)) return std::nullopt;
    auto const rank = parallel::rank_from_text(name.substr(prefix.size()));
    return rank ? std::optional(Placement::single(*rank)) : std::nullopt;
}

LayoutKind input_of(Placement placement) {
    switch (placement.kind) {
        case Kind::split_batch:
            return {LayoutKind::Kind::batch_sharded};
        case Kind::single:
            return LayoutKind::on_rank(placement.rank);
        case Kind::shard:
        case Kind::replicate:
            break;
    }
    return {LayoutKind::Kind::replicated};
}

LayoutKind output_of(Placement placement, ModuleKind module) {
    if (placement.kind != Kind::shard) return input_of(placement);
    bool const by_column = module == ModuleKind::lm_head || module == ModuleKind::patch_embedding;
    return {by_column ? LayoutKind::Kind::hidden_sharded : LayoutKind::Kind::partial};
}

Placement PlacementPlan::of(std::string_view module) const {
    auto const found = placements.find(module);
    require(found != placements.end(), "the plan has no module of this name");
    return found->second;
}

LayoutKind PlacementPlan::stream_of(std::string_view module) const {
    auto const found = streams.find(module);
    require(found != streams.end(), "the plan's residual stream is not settled");
    return found->second;
}

bool PlacementPlan::deals_sequences() const { return deals(*this, false); }

bool PlacementPlan::deals_tiles() const { return deals(*this, true); }

void replicate_norms(PlacementPlan& plan, std::span<ModuleSpec const> modules) {
    for (auto const& module : modules) {
        if (module.kind == ModuleKind::norm) plan.placements[module.name] = Placement::replicate;
    }
}

std::vector<Region> regions_of(WeightSpec const& weight, std::size_t units, Placement placement,
                               int ranks) {
    Region const whole{{weight.first_row, weight.rows}, {0, weight.cols}};
    std::vector<Region> regions;
    Partition const partition(units, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
        if (placement.kind == Kind::shard) {
            regions.push_back(share_of(weight, partition.of(rank), rank == 0));
        } else {
            regions.push_back(placement.whole_on(rank) ? whole : Region{});
        }
    }
    return regions;
}

Range units_of(std::size_t units, Placement placement, int rank, int ranks) {
    if (placement.kind == Kind::shard) return Partition(units, ranks).of(rank);
    return {0, placement.whole_on(rank) ? units : 0};
}

}  // namespace tesserank::model
