#include "model/architectures/common.hpp"

namespace tesserank::model::architectures {

/// Llama 1, 2, 3 and their many descendants with model_type "llama".
DecoderConfig describe_llama(ConfigReader& config) {
    // The first Llama's config has another name for the context, or none.
    auto decoder = describe_common(config, config.size_or("max_sequence_length", 2048));
    decoder.qkv_bias = decoder.output_bias = config.flag_or("attention_bias", false);
    decoder.mlp_bias = config.flag_or("mlp_bias", false);
    return decoder;
}

}  // namespace tesserank::model::architectures
