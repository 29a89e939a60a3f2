#include "kernels/cuda/attention_tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

using Sizes = std::initializer_list<std::size_t>;

std::vector<std::vector<Segment>> segment_lists() {
    return {{},
            {{.row = 0, .tokens = 0}},
            {{.row = 0, .tokens = 1}},
            {{.row = 3, .tokens = 128, .first_position = 7, .cache_row = 11}},
            {{.row = 0, .tokens = 129}, {.row = 129, .tokens = 0}, {.row = 129, .tokens = 127}},
            {{.row = 500, .tokens = 16},
             {.row = 0, .tokens = 300, .first_position = 40, .cache_row = 900},
             {.row = 300, .tokens = 200},
             {.row = 516, .tokens = 15, .first_position = 1}}};
}

std::size_t longest_of(std::vector<Segment> const& segments) {
    std::size_t longest = 0;
    for (auto const& segment : segments) longest = std::max(longest, segment.tokens);
    return longest;
}

/// The bounds of a recording can be larger than what its replays find: `longest` is one.
template <std::uint32_t Size>
void expect_tiles(std::vector<Segment> const& segments, std::size_t longest) {
    std::map<std::size_t, Segment> expected;  // by row
    std::size_t rows = 0;
    for (auto const& segment : segments) {
        for (std::size_t i = 0; i < segment.tokens; ++i) {
            expected[segment.row + i] = {.row = segment.row,
                                         .tokens = segment.tokens,
                                         .first_position = segment.first_position + i,
                                         .cache_row = segment.cache_row};
        }
        rows = std::max(rows, segment.row + segment.tokens);
    }
    auto const count = static_cast<std::uint32_t>(segments.size());
    std::size_t const bound = tiles_bound(rows, count, longest, Size);
    std::size_t const used = tiles_from<Size>(segments.data(), count, 0);
    ASSERT_GE(bound, used);
    std::size_t index_before = static_cast<std::size_t>(-1);
    for (std::uint32_t place = 0; place < bound; ++place) {
        auto const tile = tile_at<Size>(place, segments.data(), count, longest);
        ASSERT_EQ(tile.tokens > 0, place < used);
        ASSERT_LE(tile.tokens, static_cast<std::int32_t>(Size));
        for (std::size_t i = 0; i < static_cast<std::size_t>(tile.tokens); ++i) {
            ASSERT_EQ(expected.count(tile.row + i), 1);
            Segment const token = expected.at(tile.row + i);
            EXPECT_EQ(static_cast<std::size_t>(tile.first_position) + i, token.first_position);
            EXPECT_EQ(tile.cache_row, token.cache_row);
            expected.erase(tile.row + i);
            if (i > 0) continue;
            std::size_t const index = (tile.row - token.row) / Size;
            EXPECT_LE(index, index_before);
            index_before = index;
        }
    }
    EXPECT_TRUE(expected.empty());
}

TEST(AttentionTiles, EveryTokenIsInOneTileAndLateTilesComeFirst) {
    for (auto const& segments : segment_lists()) {
        for (std::size_t const longest : {longest_of(segments), longest_of(segments) + 500}) {
            expect_tiles<1>(segments, longest);
            expect_tiles<16>(segments, longest);
            expect_tiles<128>(segments, longest);
        }
    }
}

TEST(AttentionTiles, RangesAreWhatQueriesSee) {
    constexpr std::int32_t context = 40;
    std::vector<Visibility> const all{{.causal = true, .window = 0},
                                      {.causal = true, .window = 1},
                                      {.causal = true, .window = 7},
                                      {.causal = true, .window = 100},
                                      {.causal = false, .window = 0}};
    for (auto const& visibility : all) {
        auto const sees = [&](std::int32_t position, std::int32_t key) {
            if (!visibility.causal) return key < context;
            return key <= position &&
                   (visibility.window == 0 || position - key < visibility.window);
        };
        for (std::int32_t first = 0; first < context; ++first) {
            std::int32_t const tokens = std::min<std::int32_t>(6, context - first);
            auto const any =
                visibility.of_any({.first_position = first, .tokens = tokens, .context = context});
            for (std::int32_t key = 0; key < context; ++key) {
                bool some = false;
                bool every = true;
                for (std::int32_t i = 0; i < tokens; ++i) {
                    auto const range = visibility.of(first + i, context);
                    bool const seen = range.begin <= key && key < range.end;
                    EXPECT_EQ(seen, sees(first + i, key));
                    some = some || seen;
                    every = every && seen;
                }
                EXPECT_EQ(any.begin <= key && key < any.end, some);
                EXPECT_EQ(visibility.all_see(first, tokens, context, {key, key + 1}), every);
            }
        }
    }
}

TEST(AttentionTiles, BlocksShareItemsOfFallingSizeEvenly) {
    constexpr std::size_t blocks = 7;
    for (std::size_t const items : Sizes{0, 1, 6, 7, 8, 70, 101}) {
        std::vector<int> taken(items);
        std::vector<std::size_t> work(blocks);
        for (std::size_t block = 0; block < blocks; ++block) {
            for (std::size_t round = 0; round * blocks < items; ++round) {
                std::size_t const item = item_of_round(round, block, blocks);
                if (item >= items) continue;
                ++taken[item];
                work[block] += items - item;
            }
        }
        EXPECT_TRUE(std::all_of(taken.begin(), taken.end(), [](int n) { return n == 1; }));
        auto const [least, most] = std::minmax_element(work.begin(), work.end());
        EXPECT_LE(*most - *least, items);
    }
}

}  // namespace
}  // namespace tesserank::kernels::cuda
