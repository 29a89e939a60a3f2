#pragma once

#include "io/plan_report.hpp"
#include "model/plan_facts.hpp"

#include <string>
#include <string_view>

namespace tesserank::app {

/// A plan as one HTML page that needs nothing else: app/plan_page.html with the JSON of
/// io::plan_report_json() in it, and what print_plan() prints for readers without JavaScript.
std::string plan_page(model::PlanFacts const& facts, io::PlanPrediction const& prediction,
                      std::string_view title);

/// A JSON text as it may stand in a script element, the same value: no "<", so that nothing in it
/// ends the element or starts a comment, and no line separator that is not one in JSON.
std::string json_for_script(std::string_view json);

/// A text as it may stand in an HTML element.
std::string text_for_html(std::string_view text);

}  // namespace tesserank::app
