#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// A text with places for pictures in it: texts[0], a picture, texts[1], a picture, ...
struct PicturedText {
    std::vector<std::string> texts{std::string()};  ///< never empty

    PicturedText() = default;
    explicit PicturedText(std::string text) : texts{std::move(text)} {}
    bool operator==(PicturedText const&) const = default;

    std::size_t pictures() const { return texts.size() - 1; }
    void add(std::string_view text) { texts.back() += text; }
    void add(PicturedText const& other);
    void add_picture() { texts.emplace_back(); }
    /// Without white space at both ends, as Python's strip() takes it for.
    void trim();
};

/// What stands for a picture in a text.
inline constexpr std::string_view picture_mark = "<image>";

/// Each mark in the text becomes the place of a picture.
PicturedText split_at_marks(PicturedText const& text);

/// Puts pictures before a text as InternVL's chat does: a line for each.
PicturedText put_in_front(std::size_t pictures, PicturedText const& text);

}  // namespace tesserank::io
