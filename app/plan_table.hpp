#pragma once

#include "model/plan_facts.hpp"

#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::app {

/// "1.5 GiB"; three digits at most.
std::string readable_bytes(std::size_t bytes);

/// Cells in columns that are as wide as they must be; the first row is the head.
class Table {
  public:
    explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    void print(std::ostream& out) const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

/// Collectives, and the bytes of the activations and messages that they are about.
struct Traffic {
    std::size_t collectives = 0, bytes = 0;
};
Traffic traffic_of(std::vector<model::StepFacts> const& steps);

/// A plan for people: modules, memory by rank, exchanges by step. Layers that are alike share a
/// line.
void print_plan(std::ostream& out, model::PlanFacts const& facts, std::string_view title);

}  // namespace tesserank::app
