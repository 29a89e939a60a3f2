#pragma once

#include "io/json_reader.hpp"
#include "io/requests/request_line.hpp"

namespace tesserank::io::detail {

/// Sets the prompt of a line that has its images already, by a list of
///
///     {"role": "system|user|assistant", "content": "text"}
///     {"role": ..., "content": [{"type": "text", "text": "..."},
///                               {"type": "image_url", "image_url": {"url": "..."}},
///                               {"type": "image", "image": "..."}, {"type": "image"}]}
///
/// A part that is a picture becomes its place and the end of the line, as in the templates of
/// Hugging Face; those without a source of their own take the line's images in turn. Where no part
/// is a picture, the line's images go to the marks <image> in the texts, or before the first text
/// of the user. Errors: InputError naming the place, what was found and what was expected.
void set_messages(RequestLine& line, JsonNode const& messages);

}  // namespace tesserank::io::detail
