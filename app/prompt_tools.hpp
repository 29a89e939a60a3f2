#pragma once

#include "app/run_options.hpp"
#include "io/model_file/model_index.hpp"
#include "io/requests/prompt.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "model/decoder_config.hpp"
#include "model/vision/vision_options.hpp"

namespace tesserank::app {

/// What prompts are made with: the model's chat template and how it takes pictures, which the
/// options narrow. Errors: InputError for an option that does not fit the model.
io::PromptTools prompt_tools(RunOptions const& options, io::ModelIndex const& index,
                             model::DecoderConfig const& config, io::Tokenizer const* tokenizer);

/// How the encoder scales pictures, as the model's documents say.
void set_scaling(model::VisionOptions& options, io::ModelIndex const& index,
                 model::DecoderConfig const& config);

}  // namespace tesserank::app
