#include "io/images/decode.hpp"
#include "kernels/error.hpp"

#include <spng.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;

struct Free {
    void operator()(spng_ctx* context) const noexcept { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, Free>;

void check(int error) {
    if (error != 0) throw InputError("a damaged PNG: " + std::string(spng_strerror(error)));
}

Context open(std::span<std::byte const> file) {
    Context context(spng_ctx_new(0));
    if (!context) throw kernels::SystemError("no memory for a PNG decoder");
    constexpr std::size_t most_chunk = std::size_t{1} << 20, most_chunks = std::size_t{8} << 20;
    check(spng_set_chunk_limits(context.get(), most_chunk, most_chunks));
    check(spng_set_png_buffer(context.get(), file.data(), file.size()));
    return context;
}

/// The content of the first chunk of this type; empty when there is none.
std::span<std::byte const> find_chunk(std::span<std::byte const> file, std::string_view type) {
    constexpr std::size_t signature = 8, around = 12;  // length, type and checksum
    std::span<std::byte const> left = file.subspan(std::min(signature, file.size()));
    while (left.size() >= around) {
        std::size_t length = 0;
        for (std::size_t i = 0; i < 4; ++i)
            length = length << 8U | std::to_integer<std::size_t>(left[i]);
        if (length > left.size() - around) return {};
        auto const* const name = reinterpret_cast<char const*>(left.data()) + 4;
        if (std::string_view(name, 4) == type) return left.subspan(8, length);
        left = left.subspan(around + length);
    }
    return {};
}

}  // namespace

std::span<std::byte const> exif_of_png(std::span<std::byte const> file) {
    return find_chunk(file, "eXIf");
}

Picture decode_png(std::span<std::byte const> file, PictureLimits const& limits) {
    if (!find_chunk(file, "acTL").empty()) {
        throw InputError("an animated PNG, expected one picture: save a frame of it");
    }
    auto const context = open(file);
    spng_ihdr header{};
    check(spng_get_ihdr(context.get(), &header));
    admit_size(header.width, header.height, limits);
    Picture picture(header.width, header.height);
    check(
        spng_decode_image(context.get(), picture.rgb.data(), picture.rgb.size(), SPNG_FMT_RGB8, 0));
    return picture;
}

}  // namespace tesserank::io::detail
