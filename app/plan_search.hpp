#pragma once

#include "io/plan_report.hpp"
#include "model/planner.hpp"

#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace tesserank::app {

/// Predicts what a plan takes, for its reports. `machine_note` says what the times are based on.
io::PlanPrediction predict(model::PlannerInput const& input, model::PlacementPlan const& plan,
                           std::string machine_note);

/// The best plan, with those that come next. Errors: InputError when none fits the memory, with
/// what the smallest one needs.
std::vector<model::RankedPlan> search_plans(model::PlannerInput const& input);

/// Prints them, fastest first, and what tells the first from each other.
void print_search(std::ostream& out, std::span<model::RankedPlan const> plans,
                  std::span<model::ModuleSpec const> modules);

}  // namespace tesserank::app
