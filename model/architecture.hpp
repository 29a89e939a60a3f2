#pragma once

#include "model/config_reader.hpp"
#include "model/decoder_config.hpp"

#include <functional>
#include <string_view>

namespace tesserank::model {

/// One family of models: how its config.json and its tensor names map to a DecoderConfig. To add
/// one, write one file under architectures/ and name it in architecture.cpp.
struct Architecture {
    std::string_view model_type;  ///< as in config.json
    DecoderConfig (*describe)(ConfigReader& config);
};

/// Errors: InputError when the model_type is unknown (lists the known ones), a key is missing, has
/// a wrong value, or could change the computation and is not understood.
DecoderConfig describe_model(ConfigValue const& config_json);

/// The same of a text model whose config is an object within a larger one.
DecoderConfig describe_text_model(ConfigReader& config);

/// Takes other names of tensors where the file has those: newer versions of transformers write the
/// same models under other ones. `has_tensor` says whether the file has a tensor of a name.
void match_names(DecoderConfig& config, std::function<bool(std::string_view)> const& has_tensor);

}  // namespace tesserank::model
