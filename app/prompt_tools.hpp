#pragma once

#include "app/run_options.hpp"
#include "io/images/picture_config.hpp"
#include "io/model_file/model_index.hpp"
#include "io/requests/prompt.hpp"
#include "model/decoder_config.hpp"

#include <optional>
#include <string>
#include <variant>

namespace tesserank::app {

/// How a model wants its pictures, or why that is not known: a matter of the requests that have
/// some.
using PictureWishes = std::variant<io::PictureConfig, std::string>;
PictureWishes picture_wishes(io::ModelIndex const& index, model::DecoderConfig const& config);

/// What prompts are made with: the model's chat template and how it takes pictures, which the
/// options narrow. Errors: InputError for an option that does not fit the model.
io::PromptTools prompt_tools(RunOptions const& options, io::ModelIndex const& index,
                             model::DecoderConfig const& config, io::Tokenizer const* tokenizer);

}  // namespace tesserank::app
