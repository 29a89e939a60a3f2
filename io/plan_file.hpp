#pragma once

#include "model/module_spec.hpp"
#include "model/placement.hpp"

#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// A placement plan as JSON, one module a line in the order of computation:
///
///     {"format": "tesserank-plan", "format_version": 1, "ranks": 4, "modules": {
///     "embedding": {"placement": "shard"},
///     "layers.0.attention": {"placement": "split-batch", "stream": "BatchSharded"},
///     ...}}
///
/// "stream" is where the residual stream lies while the module runs. Norms are not listed.
std::string plan_text(model::PlacementPlan const& plan, std::span<model::ModuleSpec const> modules);

/// Reads plan_text(). Streams may be left out, all or none: the result then has none. `origin`
/// names the text in messages. Errors: InputError naming module and place: a module that is
/// missing, unknown or a norm, an unknown placement or layout, a rank that does not exist, a plan
/// for another number of ranks.
model::PlacementPlan parse_plan(std::string_view text, std::string_view origin,
                                std::span<model::ModuleSpec const> modules, int ranks);

}  // namespace tesserank::io
