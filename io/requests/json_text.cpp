#include "io/requests/json_text.hpp"

#include "io/tokenizer/utf8.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace tesserank::io {
namespace {

std::string valid_utf8(std::string_view text) {
    std::string valid;
    detail::LossyUtf8 decoder;
    decoder.append(text, valid);
    decoder.finish(valid);
    return valid;
}

void append_escaped(std::string& out, char c) {
    auto constexpr digits = std::string_view("0123456789abcdef");
    switch (c) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            break;
    }
    auto const byte = static_cast<unsigned char>(c);
    if (byte >= 0x20) {
        out += c;
        return;
    }
    out += "\\u00";
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
}

template <class T>
void append_number(std::string& out, T value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    std::array<char, 32> text{};
    auto const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), end);
}

}  // namespace

void append_json(std::string& out, std::string_view text) {
    if (detail::find_invalid_utf8(text) != std::string_view::npos) {
        append_json(out, std::string_view(valid_utf8(text)));
        return;
    }
    out += '"';
    for (char const c : text) append_escaped(out, c);
    out += '"';
}

void append_json(std::string& out, float value) { append_number(out, value); }
void append_json(std::string& out, double value) { append_number(out, value); }

std::string& JsonObject::begin(std::string_view key) {
    if (text_.size() > 1) text_ += ", ";
    append_json(text_, key);
    return text_ += ": ";
}

std::string JsonObject::close() {
    text_ += '}';
    return std::move(text_);
}

std::string quote_start(std::string_view text, std::size_t bytes) {
    auto cut = text.substr(0, bytes);
    // Not within a character.
    while (cut.size() < text.size() && !cut.empty() && (text[cut.size()] & 0xC0) == 0x80) {
        cut.remove_suffix(1);
    }
    std::string quoted;
    append_json(quoted, cut);
    if (cut.size() < text.size()) quoted += "...";
    return quoted;
}

}  // namespace tesserank::io
