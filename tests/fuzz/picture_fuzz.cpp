// Any bytes as a picture: decoded, or refused by an InputError, within the limits.

#include "io/images/decode.hpp"
#include "io/images/tiling.hpp"
#include "kernels/error.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    namespace io = tesserank::io;
    try {
        io::PictureLimits const limits{.file_bytes = 1 << 16, .pixels = 1 << 16};
        auto const picture =
            io::decode_picture({reinterpret_cast<std::byte const*>(data), size}, limits);
        if (picture.rgb.size() != picture.width * picture.height * 3) std::abort();
        if (picture.width * picture.height > limits.pixels) std::abort();
        io::TilingOptions options;
        options.tile = 8;
        options.most_tiles = 4;
        if (io::cut_tiles(picture, options).empty()) std::abort();
    } catch (tesserank::kernels::InputError const&) {
        return 0;
    }
    return 0;
}
