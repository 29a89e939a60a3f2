#pragma once

#include "io/chat/chat_format.hpp"
#include "io/model_file/model_index.hpp"

#include <string>
#include <variant>

namespace tesserank::io {

/// How a model writes conversations, or why that is not known. InternVL's own name for it in
/// config.json counts before a Jinja template: its code does not use the latter.
std::variant<ChatFormat, std::string> find_chat_format(ModelIndex const& index);

}  // namespace tesserank::io
