#pragma once

#include "model/vision/pixels.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::app {

/// Tiles for measurements: any pixels will do, as long as every plan gets the same.
class RandomTiles {
  public:
    /// So many tiles of so many pixels across.
    RandomTiles(std::size_t count, std::size_t side);

    std::span<model::Tile const> first(std::size_t count) const {
        return std::span(tiles_).first(count);
    }

  private:
    std::vector<std::uint8_t> rgb_;
    std::vector<model::Tile> tiles_;
};

}  // namespace tesserank::app
