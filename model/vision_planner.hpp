#pragma once

#include "model/machine_costs.hpp"
#include "model/placement.hpp"
#include "model/planner.hpp"

#include <vector>

namespace tesserank::model {

/// A plan for the vision encoder alone, and the seconds of encoding a batch's tiles.
struct RankedVision {
    PlacementPlan plan;
    PlanCost cost;
};

/// The plans for the encoder among which that of a model is found, fastest first: one that may
/// place every layer differently, and those that place all attentions alike and all MLPs alike. One
/// that is empty where the model has no encoder. Deterministic.
std::vector<RankedVision> rank_vision_plans(PlannerInput const& input);

}  // namespace tesserank::model
