#include "model/architectures/common.hpp"

namespace tesserank::model::architectures {

/// Qwen2 and Qwen2.5: biases on q, k and v, none on the output projection; windows in the upper
/// layers, if enabled.
DecoderConfig describe_qwen2(ConfigReader& config) {
    auto decoder = describe_common(config);
    decoder.qkv_bias = true;
    read_layered_window(config, decoder);
    if (config.flag_or("use_mrope", false))
        config.fail("use_mrope", "is true, which is not supported");
    return decoder;
}

}  // namespace tesserank::model::architectures
