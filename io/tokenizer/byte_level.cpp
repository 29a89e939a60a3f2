#include "io/tokenizer/byte_level.hpp"

#include "io/tokenizer/utf8.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace tesserank::io::detail {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// The other bytes take the code points from 256 on, in their order.
constexpr auto character_of_byte = [] {
    std::array<char32_t, 256> characters{};
    char32_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
        characters[byte] = stands_for_itself(byte) ? byte : next++;
    }
    return characters;
}();

constexpr std::int16_t no_byte = -1;
constexpr auto byte_of_character = [] {
    std::array<std::int16_t, 512> bytes{};
    bytes.fill(no_byte);
    for (unsigned byte = 0; byte < 256; ++byte) {
        bytes[character_of_byte[byte]] = static_cast<std::int16_t>(byte);
    }
    return bytes;
}();

}  // namespace

void append_byte_characters(std::string_view bytes, std::string& out) {
    auto size = out.size();
    out.resize(size + 2 * bytes.size());  // no character of the alphabet has more than two bytes
    for (char const byte : bytes) {
        auto const value = character_of_byte[static_cast<unsigned char>(byte)];
        if (value < 0x80) {
            out[size++] = static_cast<char>(value);
        } else {
            out[size++] = static_cast<char>(0xC0 | (value >> 6));
            out[size++] = static_cast<char>(0x80 | (value & 0x3F));
        }
    }
    out.resize(size);
}

std::string bytes_of_token(std::string_view token) {
    std::string bytes;
    for (std::size_t at = 0; at < token.size();) {
        auto const [value, size] = character_at(token, at);
        auto const byte = value < byte_of_character.size() ? byte_of_character[value] : no_byte;
        if (byte == no_byte) return std::string(token);
        bytes.push_back(static_cast<char>(byte));
        at += size;
    }
    return bytes;
}

}  // namespace tesserank::io::detail
