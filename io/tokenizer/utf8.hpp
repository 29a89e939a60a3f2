#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// Bytes of the character that starts with `first`; 1 for a byte that starts none.
constexpr std::size_t character_size(char first) {
    auto const byte = static_cast<unsigned char>(first);
    if (byte < 0xC0) return 1;
    if (byte < 0xE0) return 2;
    return byte < 0xF0 ? 3 : 4;
}

/// Whether `byte` stands within a character, in valid UTF-8.
constexpr bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// A character of valid UTF-8, and its length in bytes.
struct Character {
    char32_t value;
    std::size_t size;
};

/// The character at `position`; `text` must be valid UTF-8 and `position` the start of a character.
Character character_at(std::string_view text, std::size_t position);
/// The character that ends before `position`, which must not be 0.
Character character_before(std::string_view text, std::size_t position);

void append_character(std::string& text, char32_t value);

/// Offset of the first byte that is not part of valid UTF-8; npos if all of it is valid.
std::size_t find_invalid_utf8(std::string_view text);

/// How much of `bytes` is one character, or one error: the longest start of a character that no
/// further byte could complete, or a single byte.
struct Utf8Step {
    enum class Kind : std::uint8_t { character, error, incomplete };
    Kind kind;
    std::size_t size;
};

/// The first step of `bytes`, which must not be empty. incomplete: more bytes may make a character.
Utf8Step next_utf8_step(std::string_view bytes);

/// Turns bytes that arrive in pieces into text. Each error becomes one U+FFFD, as in Rust's
/// from_utf8_lossy.
class LossyUtf8 {
  public:
    /// Appends what `bytes` makes certain to `text`.
    void append(std::string_view bytes, std::string& text);
    /// Appends U+FFFD if the bytes ended within a character.
    void finish(std::string& text);

  private:
    std::string pending_;
};

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

}  // namespace tesserank::io::detail
