#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// Properties as Rust's standard library and regex crate define them, by the tables of utf8proc
/// (Unicode 14).
bool is_whitespace(char32_t value);      ///< White_Space
bool is_numeric(char32_t value);         ///< categories Nd, Nl, No
bool is_word(char32_t value);            ///< what the regex \w matches
bool is_combining_mark(char32_t value);  ///< categories Mn, Mc, Me

/// Appends the lower case of `value`, which may be two characters.
void append_lowercase(std::string& text, char32_t value);

enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

/// `text` in a Unicode normal form. `text` must be valid UTF-8. Time is linear in its length but
/// for sorting runs of combining marks.
std::string normalized(std::string_view text, NormalForm form);

}  // namespace tesserank::io::detail
