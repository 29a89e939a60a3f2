#pragma once

#include "model/plan_facts.hpp"
#include "model/planner.hpp"
#include "model/vision_planner.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace tesserank::model {

using PlanMemory = std::vector<RankFacts>;  ///< by rank

/// On the rank that has most of both parts.
std::size_t most_bytes_of(PlanMemory const& text, PlanMemory const& vision);

/// Plans for the text model and for the vision encoder, which have their times apart and a rank's
/// memory together.
struct PlanChoice {
    std::span<RankedPlan const> texts;
    std::function<PlanMemory(PlacementPlan const&)> text_memory;
    std::span<RankedVision const> visions;
    std::span<PlanMemory const> vision_memory;
    std::optional<std::size_t> bytes_per_rank;
};

/// At most `count` whole plans that fit, fastest first. Of those whose times a measurement cannot
/// tell apart the smallest leads; the others follow as far as they are not the same but for what
/// decides little.
std::vector<RankedPlan> choose_plans(PlanChoice const& choice, std::size_t count);

}  // namespace tesserank::model
