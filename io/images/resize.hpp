#pragma once

#include "io/images/picture.hpp"

#include <cstddef>

namespace tesserank::io {

/// Bicubic (A = -0.5), antialiased when it shrinks, in two 8-bit passes with fixed-point weights:
/// the same pixels as Pillow 13. Source: Pillow, src/libImaging/Resample.c
Picture resize_bicubic(Picture const& picture, std::size_t width, std::size_t height);

}  // namespace tesserank::io
