#pragma once

#include "model/config_value.hpp"

#include <string_view>

namespace tesserank::io {

/// A JSON text as plain data. `origin` names the text in messages, e.g. "model.h5: /config".
/// Errors: InputError for text that is not JSON or not UTF-8, an integer beyond 64 bits, a key
/// given twice, or more than 64 levels.
model::ConfigValue parse_config(std::string_view json, std::string_view origin);

}  // namespace tesserank::io
