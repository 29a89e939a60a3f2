#include "io/images/decode.hpp"

#include <libexif/exif-data.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {
namespace {

struct Unref {
    void operator()(ExifData* data) const noexcept { exif_data_unref(data); }
};

int orientation_of(std::span<std::byte const> bytes) {
    std::unique_ptr<ExifData, Unref> const data(exif_data_new_from_data(
        reinterpret_cast<unsigned char const*>(bytes.data()), static_cast<unsigned>(bytes.size())));
    if (!data) return 1;
    ExifEntry const* const entry =
        exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry == nullptr || entry->format != EXIF_FORMAT_SHORT || entry->size < 2) return 1;
    return exif_get_short(entry->data, exif_data_get_byte_order(data.get()));
}

}  // namespace

int orientation_of_jpeg(std::span<std::byte const> file) { return orientation_of(file); }

int orientation_of_exif(std::span<std::byte const> exif) {
    if (exif.empty()) return 1;
    // The library knows such data by the letters that a JPEG has before it.
    constexpr std::string_view letters{"Exif\0\0", 6};
    auto const name = std::as_bytes(std::span(letters.data(), letters.size()));
    std::vector<std::byte> marked;
    if (exif.size() < name.size() || !std::ranges::equal(exif.first(name.size()), name)) {
        marked.assign(name.begin(), name.end());
    }
    marked.insert(marked.end(), exif.begin(), exif.end());
    return orientation_of(marked);
}

}  // namespace tesserank::io::detail
