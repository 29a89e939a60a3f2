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
            for (Cut const& cut :
                 {Cut{1}, Cut{2}, Cut{3}, Cut{7}, Cut{16}, Cut{128}, Cut{5, 256}}) {
                auto const visible = visible_positions(position, window);
                auto const used = splits_used(visible.count(), cut);
                ASSERT_LE(used, cut.splits);
                std::uint32_t next = visible.begin;
                for (std::uint32_t split = 0; split < cut.splits; ++split) {
                    auto const part = part_of(visible, cut, split);
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
    Cut const cut{.splits = 5};
    for (std::uint32_t split = 0; split + 1 < splits_used(visible.count(), cut); ++split) {
        EXPECT_EQ(part_of(visible, cut, split).count() % positions_per_turn, 0);
    }
    EXPECT_EQ(splits_used(64, {8}), 1);
    EXPECT_EQ(splits_used(65, {8}), 2);
    EXPECT_EQ(splits_used(0, {8}), 0);
}

TEST(DecodeSplitsTest, ShortSequencesLeaveSplitsUnused) {
    Cut const cut{.splits = 8, .least_part = 256};
    EXPECT_EQ(splits_used(256, cut), 1);
    EXPECT_EQ(splits_used(600, cut), 3);
    EXPECT_EQ(splits_used(8192, cut), 8);
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
                for (std::uint32_t const rows : {1U, 8U, 16U}) {
                    AttentionShape const shape{
                        .query_heads = query_heads,
                        .kv_heads = ceil_divide(first + query_heads, group) + 1,
                        .queries_per_kv = group,
                        .first_query = first};
                    for (std::uint32_t kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
                        std::vector<std::size_t> heads;
                        for (std::uint32_t tile = 0; tile < query_tiles(shape, rows); ++tile) {
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

TEST(DecodeSplitsTest, OneSequenceIsSplitUntilTheDeviceIsFull) {
    CutBounds bounds{.groups = 8, .positions = 1024, .resident_blocks = resident};
    bounds.most_splits = 128;
    EXPECT_EQ(choose_cut(bounds), (Cut{.splits = 8})) << "more parts take longer to merge";
    bounds.positions = 256;
    EXPECT_EQ(choose_cut(bounds).splits, 1) << "merging takes longer than four turns";
    bounds.positions = std::size_t{1} << 17;
    EXPECT_EQ(choose_cut(bounds).splits, resident / 8) << "one wave";
    bounds.most_splits = 5;
    EXPECT_EQ(choose_cut(bounds).splits, 5);
}

TEST(DecodeSplitsTest, ManySequencesAreSplitLittle) {
    CutBounds bounds{.sequences = 512,
                     .groups = 4096,
                     .positions = 512,
                     .resident_blocks = resident,
                     .most_splits = 128};
    EXPECT_EQ(choose_cut(bounds).splits, 1);
    bounds.sequences = 64;
    bounds.groups = 64 * 8;
    bounds.positions = 8192;
    EXPECT_GT(choose_cut(bounds).splits, 1) << "a part of idle time at the end is long";
    EXPECT_LT(choose_cut(bounds).splits, 16);
}

TEST(DecodeSplitsTest, OneLongSequenceAmongShortOnesIsSplit) {
    CutBounds bounds{.sequences = 32,
                     .groups = 32 * 8,
                     .positions = 8192,
                     .resident_blocks = resident,
                     .most_splits = 128};
    Cut const cut = choose_cut(bounds);
    EXPECT_LE(part_size(8192, cut), 1024) << "though a wave holds all sequences whole";
    EXPECT_EQ(splits_used(250, cut), 1);
    bounds.sequences = 2;
    bounds.groups = 2 * 8;
    EXPECT_GT(splits_used(250, choose_cut(bounds)), 1) << "blocks are idle otherwise";
}

TEST(DecodeSplitsTest, ThereIsAlwaysOneSplit) {
    EXPECT_EQ(choose_cut({.groups = 0, .positions = 0, .most_splits = 0}).splits, 1);
    EXPECT_EQ(choose_cut({.groups = 3, .positions = 1, .most_splits = 9}).splits, 1);
}

}  // namespace
}  // namespace tesserank::kernels::cuda
