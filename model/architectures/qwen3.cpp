#include "model/architectures/common.hpp"

namespace tesserank::model::architectures {

/// Qwen3 (dense): RMSNorm on each head of q and k before the rotation; biases only if
/// attention_bias says so.
DecoderConfig describe_qwen3(ConfigReader& config) {
    auto decoder = describe_common(config);
    decoder.qkv_bias = decoder.output_bias = config.flag_or("attention_bias", false);
    decoder.qk_norm = QkNorm::heads;
    read_layered_window(config, decoder);
    return decoder;
}

}  // namespace tesserank::model::architectures
