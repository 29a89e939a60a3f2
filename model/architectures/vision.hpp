#pragma once

#include "model/config_reader.hpp"
#include "model/decoder_config.hpp"

#include <string_view>

namespace tesserank::model::architectures {

/// The text model that stands as an object of its own in the config of a larger one, described like
/// a config.json; its tensors have `prefix` before their names. What the outer object says of tied
/// embeddings and end-of-text ids counts where the inner one says nothing.
DecoderConfig describe_text_part(ConfigReader& config, std::string_view key,
                                 std::string_view prefix);

/// What all layouts of InternVL's vision encoder spell alike.
VisionConfig describe_vision_sizes(ConfigReader& vision);

VisionConfig::Norm read_norm_type(ConfigReader& vision, std::string_view fallback);

/// How many layers are computed so that the hidden state of this number is there: of a list of the
/// embeddings and each layer's output, from its end where negative.
void select_layer(ConfigReader& config, std::string_view key, VisionConfig& vision);

/// Source: pixel shuffle of InternVL, https://arxiv.org/abs/2404.16821, section 3.2
void read_downsample_ratio(ConfigReader& config, VisionConfig& vision);

/// Errors: InputError unless the key is absent or has this value.
void expect_flag(ConfigReader& config, std::string_view key, bool expected);
void expect_text(ConfigReader& config, std::string_view key, std::string_view expected);

DecoderConfig describe_internvl_chat(ConfigReader& config);
DecoderConfig describe_internvl(ConfigReader& config);
/// The names under which transformers saves an InternVL since the text model lies in a model that
/// the lm_head is outside of.
void use_newer_names(DecoderConfig& config);

}  // namespace tesserank::model::architectures
