#include "io/images/tiling.hpp"

#include "io/images/resize.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tesserank::io {
namespace {

std::vector<TileGrid> grids_for(TilingOptions const& options) {
    std::vector<TileGrid> grids;
    for (std::size_t columns = 1; columns <= options.most_tiles; ++columns) {
        for (std::size_t rows = 1; rows * columns <= options.most_tiles; ++rows) {
            if (rows * columns >= options.least_tiles) grids.push_back({columns, rows});
        }
    }
    std::ranges::stable_sort(grids, {},
                             [](TileGrid const& grid) { return grid.columns * grid.rows; });
    return grids;
}

Picture cut(Picture const& picture, std::size_t left, std::size_t top, std::size_t side) {
    Picture tile(side, side);
    for (std::size_t y = 0; y < side; ++y) {
        std::copy_n(picture.row(top + y) + left * 3, side * 3, tile.row(y));
    }
    return tile;
}

}  // namespace

TileGrid choose_grid(std::size_t width, std::size_t height, TilingOptions const& options) {
    double const ratio = static_cast<double>(width) / static_cast<double>(height);
    double nearest = std::numeric_limits<double>::infinity();
    TileGrid best;
    for (auto const& grid : grids_for(options)) {
        double const distance =
            std::abs(ratio - static_cast<double>(grid.columns) / static_cast<double>(grid.rows));
        std::size_t const pixels = options.tile * options.tile * grid.columns * grid.rows;
        bool const large = 2 * width * height > pixels;
        if (distance < nearest || (distance == nearest && large)) best = grid;
        nearest = std::min(nearest, distance);
    }
    return best;
}

std::vector<Picture> cut_tiles(Picture const& picture, TilingOptions const& options) {
    auto const grid = choose_grid(picture.width, picture.height, options);
    auto const whole =
        resize_bicubic(picture, options.tile * grid.columns, options.tile * grid.rows);
    std::vector<Picture> tiles;
    for (std::size_t row = 0; row < grid.rows; ++row) {
        for (std::size_t column = 0; column < grid.columns; ++column) {
            tiles.push_back(cut(whole, column * options.tile, row * options.tile, options.tile));
        }
    }
    if (options.thumbnail && tiles.size() > 1) {
        tiles.push_back(resize_bicubic(picture, options.tile, options.tile));
    }
    return tiles;
}

}  // namespace tesserank::io
