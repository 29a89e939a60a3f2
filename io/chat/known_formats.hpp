#pragma once

#include "io/chat/chat_format.hpp"

#include <string>
#include <string_view>

namespace tesserank::io {

/// The format that InternVL's code calls `name`, which a config.json has as its "template".
/// Errors: InputError listing the known ones.
/// Source: https://github.com/OpenGVLab/InternVL, internvl/conversation.py
ChatFormat internvl_format(std::string_view name);

/// The tokens that a Jinja template calls bos_token and eos_token; empty where there is none.
struct TemplateTokens {
    std::string bos, eos;
};

/// The format that a Jinja chat template writes, told by what stands in it: ChatML, Llama 3 or
/// Llama 2. There is no interpreter of Jinja here. Errors: InputError for any other template.
ChatFormat recognise_template(std::string_view jinja, TemplateTokens const& tokens);

}  // namespace tesserank::io
