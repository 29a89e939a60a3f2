#pragma once

#include "model/placement.hpp"

#include <span>
#include <string>
#include <string_view>

namespace tesserank::model {

/// The words that stand for a whole plan, for messages and help.
inline constexpr std::string_view preset_names =
    "shard, replicate, split-batch, replicate-attention, split-batch-attention";

std::span<std::string_view const> presets();
bool is_preset(std::string_view word);

/// The shortest wish that makes this plan's placements: a preset's name, or for each kind of module
/// the placement of most of them, and the exceptions.
std::string wish_for(PlacementPlan const& plan, std::span<ModuleSpec const> modules);

/// Places every module by a wish: a preset, or rules "pattern=placement" with commas between them,
/// such as "*.attention=replicate,lm_head=single:0". Patterns are shell globs over module names
/// (`*` matches dots too); later rules win; what no rule matches is sharded. Norms are always
/// replicated and no rule matches them. On one rank all placements are the same: replicate.
/// Errors: InputError naming the rule: an unknown preset or placement, a rank that does not exist,
/// a pattern that matches no module (with the nearest names).
PlacementPlan make_plan(std::span<ModuleSpec const> modules, std::string_view wish, int ranks);

}  // namespace tesserank::model
