#pragma once

#include "app/table.hpp"
#include "io/plan_report.hpp"
#include "model/plan_facts.hpp"

#include <cstddef>
#include <ostream>
#include <span>
#include <string_view>
#include <vector>

namespace tesserank::app {

/// Collectives, and the bytes of the activations and messages that they are about.
struct Traffic {
    std::size_t collectives = 0, bytes = 0;

    void add(std::span<model::Exchange const> exchanges, std::size_t times);
};
Traffic traffic_of(std::vector<model::StepFacts> const& steps);
Traffic traffic_of(std::vector<model::EncodeFacts> const& steps);

/// A plan for people: modules, memory by rank, exchanges by step, what they take. Layers that are
/// alike share a line.
void print_plan(std::ostream& out, model::PlanFacts const& facts,
                io::PlanPrediction const& prediction, std::string_view title);

}  // namespace tesserank::app
