#include "model/vision/position_table.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::model {
namespace {

constexpr float class_token = 77.0F;

/// A table of one column: the class token's value, then a grid's.
std::vector<float> table_of(std::vector<float> const& grid) {
    std::vector<float> table{class_token};
    table.insert(table.end(), grid.begin(), grid.end());
    return table;
}

TEST(ResizePositions, KeepsATableOfTheSameSize) {
    auto const table = table_of({1, 2, 3, 4});
    EXPECT_EQ(resize_positions(table, 1, 2, 2), table);
}

TEST(ResizePositions, KeepsTheClassTokenAndAConstant) {
    auto const result = resize_positions(table_of(std::vector<float>(9, 5.0F)), 1, 3, 7);
    ASSERT_EQ(result.size(), 1U + 49U);
    EXPECT_EQ(result.front(), class_token);
    for (auto const value : std::span(result).subspan(1)) EXPECT_NEAR(value, 5.0F, 1e-5F);
}

// From 2 to 4 a new cell lies a quarter of a cell to the left or right of an old one. By hand, with
// A = -3/4 and the border repeated, from a row [0, 1]: at -1/4 the last of the cells 0 0 0 1 is 5/4
// away and weighs -27/256; at 1/4 the last two of 0 0 1 1 are 3/4 and 7/4 away and weigh 67/256 and
// -9/256.
TEST(ResizePositions, WeighsFourNeighboursEachWay) {
    auto const across = resize_positions(table_of({0, 1, 0, 1}), 1, 2, 4);
    auto const down = resize_positions(table_of({0, 0, 1, 1}), 1, 2, 4);
    std::vector<float> const wanted{-0.10546875F, 0.2265625F, 0.7734375F, 1.10546875F};
    for (std::size_t y = 0; y < 4; ++y) {
        for (std::size_t x = 0; x < 4; ++x) {
            EXPECT_NEAR(across[1 + 4 * y + x], wanted[x], 1e-6F) << y << ", " << x;
            EXPECT_NEAR(down[1 + 4 * y + x], wanted[y], 1e-6F) << y << ", " << x;
        }
    }
}

TEST(ResizePositions, TreatsEachColumnAlone) {
    std::vector<float> both{class_token, -class_token};
    for (float const value : {0.0F, 1.0F, 0.0F, 1.0F}) {
        both.push_back(value);
        both.push_back(-2.0F * value);
    }
    auto const one = resize_positions(table_of({0, 1, 0, 1}), 1, 2, 3);
    auto const two = resize_positions(both, 2, 2, 3);
    for (std::size_t row = 1; row < one.size(); ++row) {
        EXPECT_FLOAT_EQ(two[2 * row], one[row]);
        EXPECT_FLOAT_EQ(two[2 * row + 1], -2.0F * one[row]);
    }
}

// Without a filter for smaller grids: the middle of 3 by 3 alone.
TEST(ResizePositions, ShrinksWithoutAFilter) {
    auto const result = resize_positions(table_of({1, 1, 1, 1, 9, 1, 1, 1, 1}), 1, 3, 1);
    ASSERT_EQ(result.size(), 2U);
    EXPECT_FLOAT_EQ(result[1], 9.0F);
}

TEST(ResizePositions, RefusesATableOfAnotherSize) {
    EXPECT_THROW(resize_positions(table_of({1, 2, 3}), 1, 2, 4), kernels::LogicError);
}

}  // namespace
}  // namespace tesserank::model
