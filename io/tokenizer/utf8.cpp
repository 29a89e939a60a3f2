#include "io/tokenizer/utf8.hpp"

#include <cstring>

namespace tesserank::io::detail {
namespace {

constexpr std::uint32_t byte_at(std::string_view text, std::size_t position) {
    return static_cast<unsigned char>(text[position]);
}

/// The range that the second byte of a character must lie in; empty for a byte that starts none.
struct SecondByte {
    std::uint32_t least, most;
};

constexpr SecondByte second_byte_after(std::uint32_t first) {
    if (first >= 0xC2 && first <= 0xDF) return {0x80, 0xBF};
    if (first == 0xE0) return {0xA0, 0xBF};
    if (first == 0xED) return {0x80, 0x9F};
    if (first >= 0xE1 && first <= 0xEF) return {0x80, 0xBF};
    if (first == 0xF0) return {0x90, 0xBF};
    if (first >= 0xF1 && first <= 0xF3) return {0x80, 0xBF};
    if (first == 0xF4) return {0x80, 0x8F};
    return {1, 0};
}

/// Skips eight ASCII bytes at a time.
std::size_t skip_ascii(std::string_view text, std::size_t position) {
    while (position + 8 <= text.size()) {
        std::uint64_t block = 0;
        std::memcpy(&block, text.data() + position, 8);
        if ((block & 0x8080808080808080ULL) != 0) break;
        position += 8;
    }
    while (position < text.size() && byte_at(text, position) < 0x80) ++position;
    return position;
}

}  // namespace

Character character_at(std::string_view text, std::size_t position) {
    auto const first = byte_at(text, position);
    auto const size = character_size(text[position]);
    if (size == 1) return {.value = first, .size = 1};
    auto value = first & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i)
        value = value << 6 | (byte_at(text, position + i) & 0x3F);
    return {.value = value, .size = size};
}

Character character_before(std::string_view text, std::size_t position) {
    auto start = position - 1;
    while (start > 0 && is_continuation(text[start])) --start;
    return character_at(text, start);
}

void append_character(std::string& text, char32_t value) {
    auto const tail = [&](unsigned shift) {
        text.push_back(static_cast<char>(0x80 | ((value >> shift) & 0x3F)));
    };
    if (value < 0x80) {
        text.push_back(static_cast<char>(value));
    } else if (value < 0x800) {
        text.push_back(static_cast<char>(0xC0 | (value >> 6)));
        tail(0);
    } else if (value < 0x10000) {
        text.push_back(static_cast<char>(0xE0 | (value >> 12)));
        tail(6);
        tail(0);
    } else {
        text.push_back(static_cast<char>(0xF0 | (value >> 18)));
        tail(12);
        tail(6);
        tail(0);
    }
}

Utf8Step next_utf8_step(std::string_view bytes) {
    using Kind = Utf8Step::Kind;
    auto const first = byte_at(bytes, 0);
    if (first < 0x80) return {.kind = Kind::character, .size = 1};
    auto range = second_byte_after(first);
    if (range.least > range.most) return {.kind = Kind::error, .size = 1};
    auto const size = character_size(bytes[0]);
    for (std::size_t i = 1; i < size; ++i, range = {0x80, 0xBF}) {
        if (i == bytes.size()) return {.kind = Kind::incomplete, .size = i};
        auto const byte = byte_at(bytes, i);
        if (byte < range.least || byte > range.most) return {.kind = Kind::error, .size = i};
    }
    return {.kind = Kind::character, .size = size};
}

std::size_t find_invalid_utf8(std::string_view text) {
    std::size_t position = 0;
    while ((position = skip_ascii(text, position)) < text.size()) {
        auto const step = next_utf8_step(text.substr(position, 4));
        if (step.kind != Utf8Step::Kind::character) return position;
        position += step.size;
    }
    return std::string_view::npos;
}

void LossyUtf8::append(std::string_view bytes, std::string& text) {
    pending_ += bytes;
    std::string_view rest = pending_;
    while (!rest.empty()) {
        auto const step = next_utf8_step(rest);
        if (step.kind == Utf8Step::Kind::incomplete) break;
        text += step.kind == Utf8Step::Kind::character ? rest.substr(0, step.size)
                                                       : replacement_character;
        rest.remove_prefix(step.size);
    }
    pending_.erase(0, pending_.size() - rest.size());
}

void LossyUtf8::finish(std::string& text) {
    if (!pending_.empty()) text += replacement_character;
    pending_.clear();
}

}  // namespace tesserank::io::detail
