#pragma once

#include "io/images/picture.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::io {

/// How a model wants its pictures cut; see picture_config.hpp.
struct TilingOptions {
    std::size_t tile = 448;  ///< pixels of a tile's side
    std::size_t least_tiles = 1, most_tiles = 12;
    bool thumbnail = true;  ///< the whole picture as one more tile behind several
};

/// Tiles across and down.
struct TileGrid {
    std::size_t columns = 1, rows = 1;
    bool operator==(TileGrid const&) const = default;
};

/// Among all grids of allowed size the one whose aspect ratio is nearest to the picture's: of
/// equally near ones, in order of area, a later one when the picture has more than half its pixels.
/// Source: InternVL's dynamic_preprocess, https://arxiv.org/abs/2404.16821
TileGrid choose_grid(std::size_t width, std::size_t height, TilingOptions const& options);

/// Resized to its grid and cut, row by row; the thumbnail last.
std::vector<Picture> cut_tiles(Picture const& picture, TilingOptions const& options);

}  // namespace tesserank::io
