#include "io/images/decode.hpp"
#include "kernels/error.hpp"

#include <webp/decode.h>
#include <webp/demux.h>

#include <cstdint>
#include <memory>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;

struct Delete {
    void operator()(WebPDemuxer* demuxer) const noexcept { WebPDemuxDelete(demuxer); }
};

std::uint8_t const* bytes_of(std::span<std::byte const> file) {
    return reinterpret_cast<std::uint8_t const*>(file.data());
}

}  // namespace

std::span<std::byte const> exif_of_webp(std::span<std::byte const> file) {
    WebPData const data{bytes_of(file), file.size()};
    std::unique_ptr<WebPDemuxer, Delete> const demuxer(WebPDemux(&data));
    WebPChunkIterator chunk{};
    if (!demuxer || WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0) return {};
    // A part of the file, which stays.
    std::span const exif(reinterpret_cast<std::byte const*>(chunk.chunk.bytes), chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return exif;
}

Picture decode_webp(std::span<std::byte const> file, PictureLimits const& limits) {
    WebPBitstreamFeatures features{};
    if (WebPGetFeatures(bytes_of(file), file.size(), &features) != VP8_STATUS_OK) {
        throw InputError("a damaged WebP: its header cannot be read");
    }
    if (features.has_animation != 0) {
        throw InputError("an animated WebP, expected one picture: save a frame of it");
    }
    admit_size(static_cast<std::size_t>(features.width), static_cast<std::size_t>(features.height),
               limits);
    Picture picture(static_cast<std::size_t>(features.width),
                    static_cast<std::size_t>(features.height));
    auto const* const decoded = WebPDecodeRGBInto(bytes_of(file), file.size(), picture.rgb.data(),
                                                  picture.rgb.size(), features.width * 3);
    if (decoded == nullptr)
        throw InputError("a damaged WebP: it is cut short or its data is wrong");
    return picture;
}

}  // namespace tesserank::io::detail
