#include "model/architectures/common.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tesserank::model::architectures {
namespace {

/// Memory is taken for each layer before the weights, which would not be there, are looked for.
std::size_t read_layers(ConfigReader& config) {
    constexpr std::size_t most = 10000;
    std::size_t const layers = config.size("num_hidden_layers");
    if (layers > most) {
        config.fail("num_hidden_layers",
                    "is " + std::to_string(layers) + ", expected at most " + std::to_string(most));
    }
    return layers;
}

constexpr std::string_view full = "full_attention", sliding = "sliding_attention";

/// `layer_types` by layer: true where the layer has the sliding window.
std::vector<bool> read_layer_types(ConfigReader& config, std::size_t layers) {
    std::vector<bool> has_window;
    for (auto const& type : config.texts("layer_types")) {
        if (type != full && type != sliding) {
            config.fail(
                "layer_types",
                "holds \"" + type + "\", supported are full_attention and sliding_attention");
        }
        has_window.push_back(type == sliding);
    }
    if (has_window.size() != layers) {
        config.fail("layer_types", "has " + std::to_string(has_window.size()) + " entries for " +
                                       std::to_string(layers) + " layers");
    }
    return has_window;
}

}  // namespace

kernels::Activation read_activation(ConfigReader& config, std::string_view key) {
    using kernels::Activation;
    static constexpr std::array<std::pair<std::string_view, Activation>, 5> known{
        {{"silu", Activation::silu},
         {"swish", Activation::silu},
         {"gelu", Activation::gelu},
         {"gelu_new", Activation::gelu_tanh},
         {"gelu_pytorch_tanh", Activation::gelu_tanh}}};
    auto const name = config.text(key);
    for (auto const& [text, activation] : known) {
        if (text == name) return activation;
    }
    config.fail(key, "is \"" + name + "\", supported are silu, gelu, gelu_new, gelu_pytorch_tanh");
}

DecoderConfig describe_common(ConfigReader& config, std::optional<std::size_t> context) {
    DecoderConfig decoder;
    decoder.vocabulary = config.size("vocab_size");
    decoder.hidden = config.size("hidden_size");
    decoder.intermediate = config.size("intermediate_size");
    decoder.layers = read_layers(config);
    decoder.query_heads = config.size("num_attention_heads");
    decoder.kv_heads = config.size_or("num_key_value_heads", decoder.query_heads);
    config.ignore("head_dim");
    if (!config.has("head_dim") && decoder.hidden % decoder.query_heads != 0) {
        config.fail("hidden_size",
                    "is not a multiple of num_attention_heads and there is no head_dim");
    }
    decoder.head_dim = config.size_or("head_dim", decoder.hidden / decoder.query_heads);
    decoder.norm_eps = static_cast<float>(config.number("rms_norm_eps"));
    decoder.activation = read_activation(config, "hidden_act");
    decoder.tied_embeddings = config.flag_or("tie_word_embeddings", false);
    decoder.eos_ids = config.token_ids("eos_token_id");
    decoder.windows.assign(decoder.layers, 0);
    decoder.context = context ? config.size_or("max_position_embeddings", *context)
                              : config.size("max_position_embeddings");
    read_rope(config, decoder);
    return decoder;
}

void read_uniform_window(ConfigReader& config, DecoderConfig& decoder) {
    std::size_t const window = config.size_or("sliding_window", 0);
    std::ranges::fill(decoder.windows, window);
    config.ignore("layer_types");
    if (!config.has("layer_types")) return;
    auto const has_window = read_layer_types(config, decoder.layers);
    for (std::size_t layer = 0; layer < decoder.layers; ++layer) {
        if (has_window[layer] && window == 0) {
            config.fail("sliding_window", "is missing, but layers use it");
        }
        decoder.windows[layer] = has_window[layer] ? window : 0;
    }
}

void read_layered_window(ConfigReader& config, DecoderConfig& decoder) {
    bool const enabled = config.flag_or("use_sliding_window", false);
    std::size_t const window = config.size_or("sliding_window", 0);
    std::size_t const first = config.count_or("max_window_layers", 28);  // transformers' default
    config.ignore("layer_types");
    auto const has_window =
        config.has("layer_types") ? read_layer_types(config, decoder.layers) : std::vector<bool>();
    for (std::size_t layer = 0; layer < decoder.layers; ++layer) {
        bool const windowed = has_window.empty() ? enabled && layer >= first : has_window[layer];
        if (windowed && window == 0) config.fail("sliding_window", "is missing, but layers use it");
        decoder.windows[layer] = windowed ? window : 0;
    }
}

}  // namespace tesserank::model::architectures
