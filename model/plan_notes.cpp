#include "model/plan_notes.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {
namespace {

/// Names of modules that differ in their layer's number alone, with a star for it.
std::string pattern_of(std::string_view name) {
    auto const layer = layer_of(name);
    if (!layer) return std::string(name);
    return std::string(layer->stack) + "*." + std::string(layer->part);
}

void note_idle_ranks(PlanFacts& facts) {
    std::vector<std::string> patterns;
    for (auto const& module : facts.modules) {
        bool const surplus = module.placement == Placement::shard && module.idle_ranks() > 0;
        if (!surplus) continue;
        auto const pattern = pattern_of(module.name);
        if (std::ranges::find(patterns, pattern) != patterns.end()) continue;
        patterns.push_back(pattern);
        facts.notes.push_back(pattern + " has fewer units than there are ranks: " +
                              std::to_string(module.idle_ranks()) + " of " +
                              std::to_string(facts.plan.ranks) + " ranks idle in it");
    }
}

void note_single_ranks(PlanFacts& facts) {
    std::vector<int> path;
    for (auto const& module : facts.modules) {
        bool const single = module.placement.kind == Placement::Kind::single;
        if (single && (path.empty() || path.back() != module.placement.rank)) {
            path.push_back(module.placement.rank);
        }
    }
    if (path.size() < 2) return;
    std::string text = "a pipeline without overlap: one rank works at a time, along ranks";
    for (std::size_t i = 0; i < std::min<std::size_t>(path.size(), 16); ++i) {
        text += " " + std::to_string(path[i]);
    }
    facts.notes.push_back(text + (path.size() > 16 ? " ..." : ""));
}

/// Of a batch that is dealt out, of which some ranks get nothing.
void note_undealt(PlanFacts& facts, std::string const& batch, std::size_t dealt,
                  std::string const& one) {
    auto const ranks = static_cast<std::size_t>(facts.plan.ranks);
    if (dealt >= ranks) return;
    facts.notes.push_back(batch + std::to_string(dealt) + " leaves " +
                          std::to_string(ranks - dealt) + " rank(s) without a " + one +
                          " in split-batch modules");
}

}  // namespace

void add_notes(PlanFacts& facts) {
    note_idle_ranks(facts);
    note_single_ranks(facts);
    if (facts.plan.deals_sequences()) {
        note_undealt(facts, "a batch of ", facts.workload.batch, "sequence");
    }
    std::size_t const tiles = facts.workload.all_tiles();
    if (facts.plan.deals_tiles() && tiles > 0) {
        note_undealt(facts, "a batch whose number of tiles is ", tiles, "tile");
    }
}

}  // namespace tesserank::model
