#include "io/images/decode.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace tesserank::io {
namespace {

using kernels::InputError;

bool starts_with(std::span<std::byte const> file, std::size_t offset, std::string_view bytes) {
    if (file.size() < offset + bytes.size()) return false;
    return std::ranges::equal(file.subspan(offset, bytes.size()),
                              std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace

namespace detail {

void admit_size(std::size_t width, std::size_t height, PictureLimits const& limits) {
    if (width == 0 || height == 0) {
        throw InputError("a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                         " pixels has none");
    }
    if (std::max(width, height) > limits.side) {
        throw InputError("a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                         " pixels; at most " + std::to_string(limits.side) +
                         " of a side are read: make it smaller");
    }
    if (height > limits.pixels / width) {
        throw InputError("a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                         " pixels; at most " + std::to_string(limits.pixels) +
                         " pixels are read (--max-image-pixels): make it smaller");
    }
    if (limits.before_pixels != nullptr) (*limits.before_pixels)(width, height);
}

Picture turn_upright(Picture picture, int orientation) {
    if (orientation <= 1 || orientation > 8) return picture;
    bool const swap = orientation >= 5;
    bool const from_right =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool const from_bottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Picture upright(swap ? picture.height : picture.width, swap ? picture.width : picture.height);
    for (std::size_t y = 0; y < upright.height; ++y) {
        for (std::size_t x = 0; x < upright.width; ++x) {
            std::size_t const across = swap ? y : x, down = swap ? x : y;
            std::size_t const column = from_right ? picture.width - 1 - across : across;
            std::size_t const row = from_bottom ? picture.height - 1 - down : down;
            std::copy_n(picture.row(row) + column * 3, 3, upright.row(y) + x * 3);
        }
    }
    return upright;
}

}  // namespace detail

void check_file_bytes(std::size_t bytes, PictureLimits const& limits) {
    if (bytes <= limits.file_bytes) return;
    throw InputError("a file of " + std::to_string(bytes) + " bytes; at most " +
                     std::to_string(limits.file_bytes) +
                     " are read of a picture (--max-image-bytes)");
}

Picture decode_picture(std::span<std::byte const> file, PictureLimits const& limits) {
    if (file.empty()) throw InputError("an empty file, expected a picture");
    check_file_bytes(file.size(), limits);
    if (starts_with(file, 0, "\xFF\xD8\xFF")) {
        return detail::turn_upright(detail::decode_jpeg(file, limits),
                                    detail::orientation_of_jpeg(file));
    }
    if (starts_with(file, 0, "\x89PNG\r\n\x1A\n")) {
        auto picture = detail::decode_png(file, limits);
        return detail::turn_upright(std::move(picture),
                                    detail::orientation_of_exif(detail::exif_of_png(file)));
    }
    if (starts_with(file, 0, "RIFF") && starts_with(file, 8, "WEBP")) {
        auto picture = detail::decode_webp(file, limits);
        return detail::turn_upright(std::move(picture),
                                    detail::orientation_of_exif(detail::exif_of_webp(file)));
    }
    throw InputError(
        "neither JPEG nor PNG nor WebP, by its first bytes: convert it to one of them");
}

}  // namespace tesserank::io
