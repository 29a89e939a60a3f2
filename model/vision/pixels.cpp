#include "model/vision/pixels.hpp"

#include "kernels/error.hpp"

namespace tesserank::model {

void scale_pixels(Tile tile, VisionOptions const& options, std::span<float> planes) {
    constexpr float white = 255.0F;
    std::size_t const channels = options.mean.size(), pixels = planes.size() / channels;
    kernels::require(tile.size() == pixels * channels, "a tile of another size than the encoder's");
    for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t i = 0; i < pixels; ++i) {
            float const value = static_cast<float>(tile[i * channels + c]) / white;
            planes[c * pixels + i] = (value - options.mean[c]) / options.deviation[c];
        }
    }
}

}  // namespace tesserank::model
