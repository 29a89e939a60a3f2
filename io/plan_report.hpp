#pragma once

#include "model/plan_facts.hpp"

#include <string>
#include <string_view>

namespace tesserank::io {

/// Everything that a plan says, as a JSON object, for programs and for the page. Sizes in bytes;
/// lists "by rank" have one entry for each rank.
std::string plan_report_json(model::PlanFacts const& facts, std::string_view title);

}  // namespace tesserank::io
