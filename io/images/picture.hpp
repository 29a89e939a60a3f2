#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::io {

/// A decoded picture, upright: 8-bit red, green and blue, row by row from the top.
struct Picture {
    std::size_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;  ///< [height, width, 3]

    Picture() = default;
    Picture(std::size_t w, std::size_t h) : width{w}, height{h}, rgb(w * h * 3) {}
    std::uint8_t* row(std::size_t y) { return rgb.data() + y * width * 3; }
    std::uint8_t const* row(std::size_t y) const { return rgb.data() + y * width * 3; }
};

}  // namespace tesserank::io
