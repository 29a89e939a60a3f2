#include "io/images/load_tiles.hpp"

#include "io/images/data_url.hpp"
#include "io/input_file.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::InputError;

/// "https" of "https://..."; empty for a path.
std::string_view scheme_of(std::string_view source) {
    constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.";
    auto const end = source.find("://");
    if (end == source.npos) return {};
    auto const scheme = source.substr(0, end);
    return scheme.find_first_not_of(letters) == scheme.npos ? scheme : std::string_view();
}

std::vector<std::byte> read_file(std::string const& source, PictureOptions const& options) {
    if (auto const scheme = scheme_of(source); !scheme.empty()) {
        throw InputError("an address of " + std::string(scheme) +
                         ", which is not fetched: give the path of a file or a data URL");
    }
    if (source.find('\0') != source.npos) throw InputError("a path with a NUL in it");
    // An absolute path stays what it is.
    InputFile const file((std::filesystem::path(options.folder) / source).string());
    check_file_bytes(file.bytes(), options.limits);
    std::vector<std::byte> bytes(file.bytes());
    try {
        file.read(0, bytes);
    } catch (kernels::SystemError const& error) {
        // Of this request alone: what the system calls a file may be none that can be read.
        throw InputError(error.what());
    }
    return bytes;
}

/// Until its tiles are there, about: the pixels with what progressive JPEGs and turning upright
/// take as well; the picture in the size of its grid, twice cut into tiles.
std::size_t bytes_to_cut(std::size_t width, std::size_t height, TilingOptions const& tiling) {
    constexpr std::size_t channels = 3, copies = 3;
    auto const grid = choose_grid(width, height, tiling);
    std::size_t const tiles = grid.columns * grid.rows + 1;
    return copies * channels * (width * height + tiles * tiling.tile * tiling.tile);
}

}  // namespace

model::Picture load_tiles(std::string const& source, PictureOptions const& options) {
    auto const bytes = is_data_url(source) ? decode_data_url(source) : read_file(source, options);
    DecodeRoom::Share share;
    std::function<void(std::size_t, std::size_t)> const take = [&](std::size_t width,
                                                                   std::size_t height) {
        share = options.room->take(bytes_to_cut(width, height, options.tiling));
    };
    auto limits = options.limits;
    limits.before_pixels = &take;
    auto const picture = decode_picture(bytes, limits);
    auto const tiles = cut_tiles(picture, options.tiling);
    model::Picture result{.tiles = tiles.size(), .rgb = {}};
    result.rgb.reserve(tiles.size() * tiles.front().rgb.size());
    for (auto const& tile : tiles) {
        result.rgb.insert(result.rgb.end(), tile.rgb.begin(), tile.rgb.end());
    }
    return result;
}

}  // namespace tesserank::io
