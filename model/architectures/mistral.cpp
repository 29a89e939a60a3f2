#include "model/architectures/common.hpp"

namespace tesserank::model::architectures {

/// Mistral: Llama with a sliding window in every layer (version 0.1) or in none (later ones: null).
DecoderConfig describe_mistral(ConfigReader& config) {
    auto decoder = describe_common(config);
    read_uniform_window(config, decoder);
    return decoder;
}

}  // namespace tesserank::model::architectures
