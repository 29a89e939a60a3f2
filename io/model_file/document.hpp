#pragma once

#include "io/json_reader.hpp"
#include "io/model_file/model_index.hpp"

#include <optional>
#include <string>

namespace tesserank::io {

/// A JSON document of a model file, parsed; nullopt where the file has none. Errors: InputError
/// naming the file and the document.
std::optional<JsonDocument> open_document(ModelIndex const& index, std::string const& name);

}  // namespace tesserank::io
