#pragma once

#include "io/images/picture.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace tesserank::io {

/// What a picture may cost before it is refused: a small file can say that it has any size.
struct PictureLimits {
    std::size_t file_bytes = std::size_t{64} << 20;
    std::size_t pixels = std::size_t{100'000'000};
    /// Of the longer side, as in a JPEG: resizing takes memory in proportion to it.
    std::size_t side = 65'535;
    /// Called with width and height when they are within the limits, before memory is taken for the
    /// pixels: may wait until there is some. Borrowed.
    std::function<void(std::size_t, std::size_t)> const* before_pixels = nullptr;
};

/// Errors: InputError for a file too large to be read as a picture.
void check_file_bytes(std::size_t bytes, PictureLimits const& limits);

/// Decodes a JPEG, PNG or WebP file, told apart by its content, as PIL's convert("RGB") does after
/// exif_transpose: turned upright as its EXIF data says, transparency ignored, grey copied to all
/// three channels, of 16 bits the upper 8. Errors: InputError that says what is wrong: too large,
/// damaged or cut short, no picture, animated, CMYK.
Picture decode_picture(std::span<std::byte const> file, PictureLimits const& limits = {});

namespace detail {

/// The decoders of one format each; no turning.
Picture decode_jpeg(std::span<std::byte const> file, PictureLimits const& limits);
Picture decode_png(std::span<std::byte const> file, PictureLimits const& limits);
Picture decode_webp(std::span<std::byte const> file, PictureLimits const& limits);

/// To be called by a decoder when it knows the size. Errors: InputError unless a picture of this
/// size is within the limits.
void admit_size(std::size_t width, std::size_t height, PictureLimits const& limits);

/// The EXIF data of the file, without the letters "Exif" before it; empty when there is none.
std::span<std::byte const> exif_of_png(std::span<std::byte const> file);
std::span<std::byte const> exif_of_webp(std::span<std::byte const> file);

/// 1 to 8 as EXIF counts them; 1 (upright) where nothing else is said.
int orientation_of_jpeg(std::span<std::byte const> file);
int orientation_of_exif(std::span<std::byte const> exif);
Picture turn_upright(Picture picture, int orientation);

}  // namespace detail

}  // namespace tesserank::io
