#pragma once

#include "io/json_reader.hpp"
#include "io/requests/request_line.hpp"

namespace tesserank::io::detail {

/// Sets a line by the body of an OpenAI request for a chat completion, with vLLM's names for what
/// OpenAI has no word for. What asks for the usual (n = 1, stream = false) may stand there; what is
/// not done here (tools, penalties, response_format) is refused, never ignored. Errors: InputError
/// naming the key, what was found and what was expected.
/// Source: https://platform.openai.com/docs/api-reference/chat/create
void set_body(RequestLine& line, JsonNode const& body);

}  // namespace tesserank::io::detail
