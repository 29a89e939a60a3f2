#include "io/chat/pictured_text.hpp"

#include "io/tokenizer/unicode.hpp"
#include "io/tokenizer/utf8.hpp"

namespace tesserank::io {
namespace {

bool is_blank(char32_t value) {
    // Python counts four separators of ASCII as well.
    return detail::is_whitespace(value) || (value >= 0x1C && value <= 0x1F);
}

void trim_start(std::string& text) {
    std::size_t begin = 0;
    while (begin < text.size()) {
        auto const [value, size] = detail::character_at(text, begin);
        if (!is_blank(value)) break;
        begin += size;
    }
    text.erase(0, begin);
}

void trim_end(std::string& text) {
    while (!text.empty()) {
        auto const [value, size] = detail::character_before(text, text.size());
        if (!is_blank(value)) break;
        text.resize(text.size() - size);
    }
}

}  // namespace

void PicturedText::add(PicturedText const& other) {
    add(other.texts.front());
    texts.insert(texts.end(), other.texts.begin() + 1, other.texts.end());
}

void PicturedText::trim() {
    trim_start(texts.front());
    trim_end(texts.back());
}

PicturedText split_at_marks(PicturedText const& text) {
    PicturedText result;
    for (std::size_t i = 0; i < text.texts.size(); ++i) {
        if (i > 0) result.add_picture();
        std::string_view rest = text.texts[i];
        for (auto at = rest.find(picture_mark); at != rest.npos; at = rest.find(picture_mark)) {
            result.add(rest.substr(0, at));
            result.add_picture();
            rest.remove_prefix(at + picture_mark.size());
        }
        result.add(rest);
    }
    return result;
}

PicturedText put_in_front(std::size_t pictures, PicturedText const& text) {
    PicturedText result;
    for (std::size_t i = 0; i < pictures; ++i) {
        result.add_picture();
        result.add("\n");
    }
    result.add(text);
    return result;
}

}  // namespace tesserank::io
