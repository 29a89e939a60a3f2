#include "model/vision/pixels.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace tesserank::model {
namespace {

TEST(ScalePixels, PartsTheChannelsAndScalesEach) {
    std::array<std::uint8_t, 6> const tile{0, 255, 51, 255, 0, 102};
    VisionOptions const options{.mean = {0.5F, 0.0F, 0.2F}, .deviation = {0.5F, 1.0F, 0.1F}};
    std::vector<float> planes(6);
    scale_pixels(tile, options, planes);
    std::array<float, 6> const wanted{-1.0F, 1.0F, 1.0F, 0.0F, 0.0F, 2.0F};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_FLOAT_EQ(planes[i] + 8.0F, wanted[i] + 8.0F) << i;
    }
}

TEST(ScalePixels, RefusesATileOfAnotherSize) {
    std::array<std::uint8_t, 9> const tile{};
    std::vector<float> planes(12);
    EXPECT_THROW(scale_pixels(tile, {}, planes), kernels::LogicError);
}

}  // namespace
}  // namespace tesserank::model
