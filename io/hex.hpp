#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// Two hexadecimal digits for each byte, in lower case.
inline std::string hex_text(std::span<std::byte const> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (auto const byte : bytes) {
        auto const value = std::to_integer<std::size_t>(byte);
        text += digits[value / 16];
        text += digits[value % 16];
    }
    return text;
}

}  // namespace tesserank::io
