#include "model/vision/picture_tiles.hpp"

#include "model/request.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model {
namespace {

TEST(TilesOf, FollowRequestsAndTheirPictures) {
    std::vector<GenerateRequest> requests(3);
    requests[0].pictures.pictures = {{2, {1, 2, 3, 4, 5, 6}}, {1, {7, 8, 9}}};
    requests[2].pictures.pictures = {{1, {10, 11, 12}}};
    auto const tiles = tiles_of(pictures_of(std::span<GenerateRequest const>(requests)));
    ASSERT_EQ(tiles.size(), 4U);
    std::uint8_t next = 1;
    for (auto const tile : tiles) {
        ASSERT_EQ(tile.size(), 3U);
        for (auto const value : tile) EXPECT_EQ(value, next++);
    }
}

TEST(TilesOf, AreNoneWithoutPictures) {
    std::vector<ScoreRequest> const requests(2);
    EXPECT_TRUE(tiles_of(pictures_of(std::span(requests))).empty());
}

}  // namespace
}  // namespace tesserank::model
