#pragma once

#include "kernels/backend.hpp"
#include "model/qk_norm.hpp"
#include "model/rope.hpp"
#include "model/vision_config.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::model {

/// The original tensor names of a decoder; those of a layer stand behind `layer_prefix` + number +
/// ".". Linear layers are named without ".weight" and ".bias".
struct DecoderNames {
    std::string embedding = "model.embed_tokens.weight";
    std::string layer_prefix = "model.layers.";
    std::string attention_norm = "input_layernorm.weight";
    /// Where q, k and v are one tensor: for each kv head the rows of its query heads, then those of
    /// its k and of its v. Empty where they are apart.
    std::string qkv;
    std::string query = "self_attn.q_proj", key = "self_attn.k_proj", value = "self_attn.v_proj";
    std::string query_norm = "self_attn.q_norm.weight", key_norm = "self_attn.k_norm.weight";
    std::string output = "self_attn.o_proj";
    std::string mlp_norm = "post_attention_layernorm.weight";
    std::string gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
    std::string final_norm = "model.norm.weight";
    std::string lm_head = "lm_head.weight";
};

/// A decoder-only transformer with pre-norm, rotary GQA attention and a gated MLP: what Llama,
/// Mistral, Qwen2 and Qwen3 have in common, and every number in which they differ. Checked once, by
/// check().
struct DecoderConfig {
    std::string model_type;
    std::size_t vocabulary = 0;    ///< V
    std::size_t hidden = 0;        ///< H
    std::size_t intermediate = 0;  ///< I
    std::size_t layers = 0;
    std::size_t query_heads = 0;  ///< Q
    std::size_t kv_heads = 0;     ///< K, a divisor of Q
    std::size_t head_dim = 0;     ///< D, even
    std::size_t context = 0;      ///< most tokens of one sequence, prompt and new ones
    float norm_eps = 1e-6F;
    kernels::Activation activation = kernels::Activation::silu;
    bool qkv_bias = false, output_bias = false, mlp_bias = false;
    QkNorm qk_norm = QkNorm::none;
    bool tied_embeddings = false;  ///< lm_head is the embedding table
    RopeConfig rope;
    std::vector<std::size_t> windows;   ///< by layer: sliding window, 0 for none
    std::vector<std::int32_t> eos_ids;  ///< from config.json; generation_config.json has precedence
    DecoderNames names;
    std::optional<VisionConfig> vision;  ///< of a model whose prompts may have pictures

    std::size_t queries_per_kv() const { return query_heads / kv_heads; }

    /// Errors: InputError naming the numbers that do not fit each other.
    void check() const;
};

}  // namespace tesserank::model
