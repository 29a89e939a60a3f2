#include "model/vision/pixels.hpp"

#include "kernels/error.hpp"

#include <array>

namespace tesserank::model {

void scale_pixels(Tile tile, VisionOptions const& options, std::span<float> planes) {
    constexpr float white = 255.0F;
    std::size_t const channels = options.mean.size(), pixels = planes.size() / channels;
    kernels::require(tile.size() == pixels * channels, "a tile of another size than the encoder's");
    for (std::size_t c = 0; c < channels; ++c) {
        // A GPU waits for this: no division for each pixel.
        std::array<float, 256> scaled{};
        for (std::size_t byte = 0; byte < scaled.size(); ++byte) {
            float const value = static_cast<float>(byte) / white;
            scaled[byte] = (value - options.mean[c]) / options.deviation[c];
        }
        for (std::size_t i = 0; i < pixels; ++i) {
            planes[c * pixels + i] = scaled[tile[i * channels + c]];
        }
    }
}

}  // namespace tesserank::model
