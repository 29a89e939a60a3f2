#pragma once

#include "model/machine_costs.hpp"

#include <array>
#include <cstddef>
#include <string_view>

namespace tesserank::model {

/// The seconds of all prefill steps of a batch, of all decode steps, or of encoding its pictures.
struct PhaseTimes {
    PlanCost cost;
    std::size_t steps = 0;
    /// What takes most of it: "reading weights", "arithmetic", "attention", ...
    std::string_view limit;
};

/// What a batch takes on a measured machine, by plan. The references must outlive the object.
class Predictor {
  public:
    Predictor(Machine const& machine, PlannedWork model, Workload const& workload);

    PlanCost cost_of(PlacementPlan const& plan, Step::Phase phase) const;
    PhaseTimes times_of(PlacementPlan const& plan, Step::Phase phase) const;
    /// Of encoding all tiles of the batch.
    PhaseTimes times_of_encoding(PlacementPlan const& plan) const;

    /// The costs of prefill and decode together, of a plan that deals no sequences out: those of
    /// one that does differ by the rows of its prefill steps alone.
    RouteCosts const& batch_costs() const { return batch_; }

  private:
    /// Of one phase, for a plan that deals sequences out or not.
    TextCosts costs(Step::Phase phase, bool dealt, CostPart part) const;

    Machine const& machine_;
    PlannedWork model_;
    Workload workload_;
    std::vector<ModuleSpec> modules_;
    TextCosts batch_;
    std::array<std::array<TextCosts, 2>, 2> by_phase_;  ///< [phase][dealt]
};

}  // namespace tesserank::model
