#include "model/architectures/vision.hpp"

#include "model/architecture.hpp"
#include "model/architectures/common.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

namespace tesserank::model::architectures {
namespace {

/// Memory is taken for each layer before the weights, which would not be there, are looked for.
constexpr std::size_t most_layers = 10000;

/// What the training of InternVL 3.5 left in its text models' configs.
constexpr std::array<std::string_view, 5> of_training{"debug", "ep_size", "micro_forward",
                                                      "skip_checkpoint", "use_deepep"};

void add_prefix(DecoderNames& names, std::string_view prefix) {
    for (auto* const name :
         {&names.embedding, &names.layer_prefix, &names.final_norm, &names.lm_head}) {
        name->insert(0, prefix);
    }
}

/// One number, or the same one for both directions.
std::size_t read_side(ConfigReader& vision, std::string_view key) {
    auto const sides = vision.sizes(key);
    bool const square = sides.size() == 1 || (sides.size() == 2 && sides.front() == sides.back());
    if (!square)
        vision.fail(key, "is not one number or two equal ones: only squares are supported");
    return sides.front();
}

}  // namespace

DecoderConfig describe_text_part(ConfigReader& config, std::string_view key,
                                 std::string_view prefix) {
    auto text = config.object(key);
    if (!text) config.fail(key, "is missing");
    for (auto const harmless : of_training) text->ignore(harmless);
    auto decoder = describe_text_model(*text);
    bool const tied = config.flag_or("tie_word_embeddings", false);
    if (!text->has("tie_word_embeddings")) decoder.tied_embeddings = tied;
    auto const eos_ids = config.token_ids("eos_token_id");
    if (decoder.eos_ids.empty()) decoder.eos_ids = eos_ids;
    add_prefix(decoder.names, prefix);
    return decoder;
}

VisionConfig describe_vision_sizes(ConfigReader& vision) {
    VisionConfig config;
    config.hidden = vision.size("hidden_size");
    config.intermediate = vision.size("intermediate_size");
    config.layers = config.file_layers = vision.size("num_hidden_layers");
    if (config.layers > most_layers) {
        vision.fail("num_hidden_layers", "is " + std::to_string(config.layers) +
                                             ", expected at most " + std::to_string(most_layers));
    }
    config.heads = vision.size("num_attention_heads");
    config.head_dim = config.hidden / config.heads;
    config.channels = vision.size_or("num_channels", 3);
    if (config.channels != 3) vision.fail("num_channels", "is not 3: pictures are RGB");
    config.patch = read_side(vision, "patch_size");
    config.side = config.table_side = read_side(vision, "image_size");
    config.norm_eps = static_cast<float>(vision.number_or("layer_norm_eps", 1e-6));
    config.activation = read_activation(vision, "hidden_act");
    return config;
}

VisionConfig::Norm read_norm_type(ConfigReader& vision, std::string_view fallback) {
    auto const name = vision.text_or("norm_type", fallback);
    if (name == "layer_norm") return VisionConfig::Norm::layer;
    if (name == "rms_norm") return VisionConfig::Norm::rms;
    vision.fail("norm_type", "is \"" + name + "\", supported are layer_norm and rms_norm");
}

void select_layer(ConfigReader& config, std::string_view key, VisionConfig& vision) {
    auto const states = static_cast<std::int64_t>(vision.file_layers) + 1;
    auto const wanted = config.index_or(key, -1);
    auto const state = wanted < 0 ? states + wanted : wanted;
    if (state < 1 || state >= states) {
        config.fail(key, "is " + std::to_string(wanted) + ", but the encoder has " +
                             std::to_string(vision.file_layers) + " layer(s)");
    }
    vision.layers = static_cast<std::size_t>(state);
}

void read_downsample_ratio(ConfigReader& config, VisionConfig& vision) {
    constexpr double rounding = 1e-6, largest = 1e3;
    double const ratio = config.number_or("downsample_ratio", 0.5);
    double const shuffle = std::round(1.0 / ratio);
    if (!(shuffle >= 1.0 && shuffle <= largest && std::abs(shuffle * ratio - 1.0) < rounding)) {
        config.fail("downsample_ratio", "is " + std::to_string(ratio) +
                                            ", expected 1 over a whole number, such as 0.5");
    }
    vision.shuffle = static_cast<std::size_t>(shuffle);
}

void expect_flag(ConfigReader& config, std::string_view key, bool expected) {
    if (config.flag_or(key, expected) == expected) return;
    config.fail(key,
                std::string("is ") + (expected ? "false" : "true") + ", which is not supported");
}

void expect_text(ConfigReader& config, std::string_view key, std::string_view expected) {
    auto const found = config.text_or(key, expected);
    if (found == expected) return;
    config.fail(key, "is \"" + found + "\", supported is " + std::string(expected));
}

}  // namespace tesserank::model::architectures
