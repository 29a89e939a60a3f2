#include "model/architectures/common.hpp"

namespace tesserank::model::architectures {

/// InternLM2: Llama under other names, with q, k and v in one tensor.
/// Source: https://arxiv.org/abs/2403.17297, section 2.2
DecoderConfig describe_internlm2(ConfigReader& config) {
    auto decoder = describe_common(config);
    decoder.qkv_bias = decoder.output_bias = config.flag_or("bias", false);
    auto& names = decoder.names;
    names.embedding = "model.tok_embeddings.weight";
    names.attention_norm = "attention_norm.weight";
    names.qkv = "attention.wqkv";
    names.output = "attention.wo";
    names.mlp_norm = "ffn_norm.weight";
    names.gate = "feed_forward.w1";
    names.up = "feed_forward.w3";
    names.down = "feed_forward.w2";
    names.lm_head = "output.weight";
    return decoder;
}

}  // namespace tesserank::model::architectures
