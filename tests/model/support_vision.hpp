#pragma once

#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"

#include <array>

namespace tesserank::test {

/// A vision encoder of the original layout: 5 heads of 4, tiles of 4 by 4 patches.
inline Object tiny_intern_vit() {
    return object({{"model_type", "intern_vit_6b"},
                   {"hidden_size", 20},
                   {"intermediate_size", 36},
                   {"num_hidden_layers", 3},
                   {"num_attention_heads", 5},
                   {"patch_size", 7},
                   {"image_size", 28},
                   {"qkv_bias", true},
                   {"qk_normalization", false},
                   {"norm_type", "layer_norm"},
                   {"layer_norm_eps", 1e-6},
                   {"hidden_act", "gelu"},
                   {"num_channels", 3}});
}

/// The smallest config.json in InternVL's original layout.
inline Object tiny_internvl_chat(Object const& vision = tiny_intern_vit(),
                                 Object const& text = tiny_config("qwen2")) {
    return object({{"model_type", "internvl_chat"},
                   {"llm_config", text},
                   {"vision_config", vision},
                   {"select_layer", -1},
                   {"ps_version", "v2"},
                   {"downsample_ratio", 0.5}});
}

/// The same encoder as transformers has it.
inline Object tiny_internvl_vision() {
    return object({{"model_type", "internvl_vision"},
                   {"hidden_size", 20},
                   {"intermediate_size", 36},
                   {"num_hidden_layers", 3},
                   {"num_attention_heads", 5},
                   {"patch_size", std::array{7, 7}},
                   {"image_size", std::array{28, 28}},
                   {"attention_bias", true},
                   {"hidden_act", "gelu"}});
}

inline Object tiny_internvl(Object const& vision = tiny_internvl_vision(),
                            Object const& text = tiny_config("qwen2")) {
    return object({{"model_type", "internvl"},
                   {"text_config", text},
                   {"vision_config", vision},
                   {"image_seq_length", 4},
                   {"projector_hidden_act", "gelu"}});
}

/// A model with a vision encoder, in the original layout unless another one is given.
inline model::DecoderConfig vision_decoder(Object const& config = tiny_internvl_chat()) {
    return model::describe_model(json(config));
}

}  // namespace tesserank::test
