#include "io/model_file/document.hpp"

namespace tesserank::io {

std::optional<JsonDocument> open_document(ModelIndex const& index, std::string const& name) {
    auto const* const text = index.find_document(name);
    if (text == nullptr) return std::nullopt;
    return JsonDocument(*text, index.path + ": /" + name);
}

}  // namespace tesserank::io
