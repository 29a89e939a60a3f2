#include "kernels/cuda/decode_splits.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

using Sizes = std::initializer_list<std::size_t>;

TEST(DecodeSplitsTest, ATokenSeesItselfAndAWindowBeforeIt) {
    EXPECT_EQ(visible_positions(0, 0), (Positions{0, 1}));
    EXPECT_EQ(visible_positions(9, 0), (Positions{0, 10}));
    EXPECT_EQ(visible_positions(9, 1), (Positions{9, 10}));
    EXPECT_EQ(visible_positions(9, 4), (Positions{6, 10}));
    EXPECT_EQ(visible_positions(9, 10), (Positions{0, 10}));
    EXPECT_EQ(visible_positions(9, 11), (Positions{0, 10}));
}

TEST(DecodeSplitsTest, EachPositionIsInOnePartAndTheUsedSplitsAreTheFirst) {
    for (std::size_t const window : Sizes{0, 1, 63, 64, 65, 200, 1000}) {
        for (std::size_t position = 0; position < 700; ++position) {
            for (std::size_t const splits : Sizes{1, 2, 3, 7, 16, 128}) {
                auto const visible = visible_positions(position, window);
                std::size_t const used = splits_used(visible.count(), splits);
                ASSERT_LE(used, splits);
                std::size_t next = visible.begin;
                for (std::size_t split = 0; split < splits; ++split) {
                    auto const part = part_of(visible, splits, split);
                    ASSERT_EQ(part.begin, next) << "parts leave no gap";
                    ASSERT_EQ(part.count() > 0, split < used);
                    next = part.end;
                }
                ASSERT_EQ(next, visible.end);
            }
        }
    }
}

TEST(DecodeSplitsTest, PartsAreWholeTurnsButTheLast) {
    Positions const visible{100, 100 + 1000};
    for (std::size_t split = 0; split + 1 < splits_used(visible.count(), 5); ++split) {
        EXPECT_EQ(part_of(visible, 5, split).count() % positions_per_turn, 0);
    }
    EXPECT_EQ(splits_used(64, 8), 1);
    EXPECT_EQ(splits_used(65, 8), 2);
    EXPECT_EQ(splits_used(0, 8), 0);
}

/// The query heads that Backend says read the kv head, in order.
std::vector<std::size_t> heads_by_definition(AttentionShape const& shape, std::size_t kv_head) {
    std::vector<std::size_t> heads;
    for (std::size_t head = 0; head < shape.query_heads; ++head) {
        if ((shape.first_query + head) / shape.queries_per_kv == kv_head) heads.push_back(head);
    }
    return heads;
}

TEST(DecodeSplitsTest, TilesHoldTheQueryHeadsOfTheirKvHead) {
    for (std::size_t const group : Sizes{1, 2, 5, 7, 16, 17, 40}) {
        for (std::size_t first = 0; first < group; ++first) {
            for (std::size_t query_heads = 0; query_heads <= 2 * group + 1; ++query_heads) {
                for (std::size_t const rows : Sizes{1, 8, 16}) {
                    AttentionShape const shape{
                        .query_heads = query_heads,
                        .kv_heads = ceil_divide(first + query_heads, group) + 1,
                        .queries_per_kv = group,
                        .first_query = first};
                    for (std::size_t kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
                        std::vector<std::size_t> heads;
                        for (std::size_t tile = 0; tile < query_tiles(shape, rows); ++tile) {
                            auto const [begin, count] = query_heads_of(shape, kv_head, tile, rows);
                            ASSERT_LE(count, rows);
                            for (std::size_t i = 0; i < count; ++i) heads.push_back(begin + i);
                        }
                        ASSERT_EQ(heads, heads_by_definition(shape, kv_head));
                    }
                }
            }
        }
    }
}

/// A device of 132 multiprocessors with two blocks each.
constexpr std::size_t resident = 264;

TEST(DecodeSplitsTest, FewSequencesAreSplitUntilTheDeviceIsFull) {
    SplitBounds bounds{.groups = 8, .positions = 1024, .resident_blocks = resident};
    bounds.most_splits = 128;
    EXPECT_EQ(choose_splits(bounds), 16) << "a part is one turn";
    bounds.positions = std::size_t{1} << 17;
    EXPECT_EQ(choose_splits(bounds), resident / 8) << "one wave";
    bounds.most_splits = 5;
    EXPECT_EQ(choose_splits(bounds), 5);
}

TEST(DecodeSplitsTest, ManySequencesAreSplitLittle) {
    SplitBounds const many{
        .groups = 4096, .positions = 512, .resident_blocks = resident, .most_splits = 128};
    EXPECT_EQ(choose_splits(many), 1);
    SplitBounds const long_contexts{
        .groups = 64 * 8, .positions = 8192, .resident_blocks = resident, .most_splits = 128};
    EXPECT_GT(choose_splits(long_contexts), 1) << "half a part of idle time at the end is long";
    EXPECT_LT(choose_splits(long_contexts), 16);
}

TEST(DecodeSplitsTest, ThereIsAlwaysOneSplit) {
    EXPECT_EQ(choose_splits({.groups = 0, .positions = 0, .most_splits = 0}), 1);
    EXPECT_EQ(choose_splits({.groups = 3, .positions = 1, .most_splits = 9}), 1);
}

}  // namespace
}  // namespace tesserank::kernels::cuda
