#include "app/random_tiles.hpp"

#include <random>

namespace tesserank::app {

RandomTiles::RandomTiles(std::size_t count, std::size_t side) : rgb_(count * side * side * 3) {
    std::mt19937 random;  // NOLINT(cert-msc*): the same pixels every time
    for (auto& value : rgb_) value = static_cast<std::uint8_t>(random());
    std::size_t const bytes = side * side * 3;
    for (std::size_t tile = 0; tile < count; ++tile) {
        tiles_.push_back(std::span(rgb_).subspan(tile * bytes, bytes));
    }
}

}  // namespace tesserank::app
