#pragma once

#include "io/model_file/set_writer.hpp"
#include "model/decoder_config.hpp"
#include "model/placement.hpp"

#include <string>

namespace tesserank::app {

/// How `convert` cuts a model for so many ranks. `wish` as behind --placement. Errors: see
/// plan_for.
io::SetPlan set_plan(model::DecoderConfig const& config, std::string const& wish, int ranks);

/// The text of the plan that a set was written for. Errors: InputError when `wish`, unless it is
/// empty, places a module elsewhere: the set's files hold nothing else.
std::string plan_of_set(io::SetIndex const& set, model::DecoderConfig const& config,
                        std::string const& wish);

}  // namespace tesserank::app
