#pragma once

#include "model/config_reader.hpp"
#include "model/decoder_config.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace tesserank::model::architectures {

/// What all families spell alike: sizes, heads, norm, activation, rope, tied embeddings,
/// end-of-text ids. `context` is for configs without max_position_embeddings; where it is nullopt,
/// they are refused.
DecoderConfig describe_common(ConfigReader& config,
                              std::optional<std::size_t> context = std::nullopt);

/// Activations by the names that transformers gives them.
kernels::Activation read_activation(ConfigReader& config, std::string_view key);

/// Reads rope_theta with rope_scaling (transformers 4) or rope_parameters (transformers 5), and
/// stretches the context.
void read_rope(ConfigReader& config, DecoderConfig& decoder);

/// The same sliding window in every layer, or none, from `sliding_window`; `layer_types`, if there,
/// says which layers have it.
void read_uniform_window(ConfigReader& config, DecoderConfig& decoder);

/// Qwen2 and Qwen3: `use_sliding_window` with `max_window_layers`, or `layer_types`.
void read_layered_window(ConfigReader& config, DecoderConfig& decoder);

DecoderConfig describe_internlm2(ConfigReader& config);
DecoderConfig describe_llama(ConfigReader& config);
DecoderConfig describe_mistral(ConfigReader& config);
DecoderConfig describe_qwen2(ConfigReader& config);
DecoderConfig describe_qwen3(ConfigReader& config);

}  // namespace tesserank::model::architectures
