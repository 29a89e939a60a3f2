#include "io/images/decode.hpp"
#include "kernels/error.hpp"

#include <turbojpeg.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;

struct Destroy {
    void operator()(void* handle) const noexcept { tjDestroy(handle); }
};
using Decompressor = std::unique_ptr<std::remove_pointer_t<tjhandle>, Destroy>;

[[noreturn]] void throw_damaged(Decompressor const& decompressor) {
    throw InputError("a damaged JPEG: " + std::string(tjGetErrorStr2(decompressor.get())));
}

}  // namespace

Picture decode_jpeg(std::span<std::byte const> file, PictureLimits const& limits) {
    Decompressor const decompressor(tjInitDecompress());
    if (!decompressor) throw kernels::SystemError("libjpeg-turbo does not start");
    auto const* const bytes = reinterpret_cast<unsigned char const*>(file.data());
    int width = 0, height = 0, subsampling = 0, colors = 0;
    if (tjDecompressHeader3(decompressor.get(), bytes, file.size(), &width, &height, &subsampling,
                            &colors) != 0) {
        throw_damaged(decompressor);
    }
    admit_size(static_cast<std::size_t>(width), static_cast<std::size_t>(height), limits);
    if (colors == TJCS_CMYK || colors == TJCS_YCCK) {
        throw InputError("a JPEG in CMYK, expected RGB or grey: convert it");
    }
    Picture picture(static_cast<std::size_t>(width), static_cast<std::size_t>(height));
    if (tjDecompress2(decompressor.get(), bytes, file.size(), picture.rgb.data(), width, 0, height,
                      TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
        // Oddities that cost no pixels are warnings; a file that ends too early is one as well.
        bool const warning = tjGetErrorCode(decompressor.get()) == TJERR_WARNING;
        std::string_view const text = tjGetErrorStr2(decompressor.get());
        if (!warning || text.find("extraneous") == std::string_view::npos) {
            throw_damaged(decompressor);
        }
    }
    return picture;
}

}  // namespace tesserank::io::detail
