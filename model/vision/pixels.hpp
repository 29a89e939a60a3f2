#pragma once

#include "model/vision/vision_options.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace tesserank::model {

/// One tile of a picture: [side, side, 3], 8-bit RGB.
using Tile = std::span<std::uint8_t const>;

/// A tile as the encoder reads it: planes [3, side*side], scaled as the options say.
void scale_pixels(Tile tile, VisionOptions const& options, std::span<float> planes);

}  // namespace tesserank::model
