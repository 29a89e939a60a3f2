#pragma once

#include "model/plan_facts.hpp"

namespace tesserank::model {

/// Adds what a reader of a plan should know: idle ranks, a pipeline.
void add_notes(PlanFacts& facts);

}  // namespace tesserank::model
