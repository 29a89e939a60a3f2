#pragma once

#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// GPT-2's alphabet: one printable character for each of the 256 bytes, so that a vocabulary of
/// strings can hold any bytes. Appends the characters of `bytes` to `out`.
void append_byte_characters(std::string_view bytes, std::string& out);

/// The bytes that a token of such a vocabulary stands for. A token with a character that stands for
/// no byte, for example a special token with a space, is returned as it is.
std::string bytes_of_token(std::string_view token);

}  // namespace tesserank::io::detail
