#pragma once

#include "model/config_value.hpp"
#include "model/request.hpp"

namespace tesserank::io {

/// The sampling that a model's generation_config.json asks for, as Hugging Face transformers reads
/// it: repetition_penalty always; greedy unless it says do_sample, then temperature (1 if not
/// given), top_k (50 if not given, none if null), top_p and min_p. The seed stays 0.
/// Errors: InputError naming the key that is out of range.
model::SamplingOptions default_sampling(model::ConfigValue const& generation_config);

}  // namespace tesserank::io
