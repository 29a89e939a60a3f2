#include "io/model_file/load_rounds.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tesserank::io {
namespace {

using model::Region;
using model::WeightRequest;

constexpr std::size_t block_bytes = 64;

StoredTensor make_tensor(std::size_t rows, std::size_t offset) {
    StoredTensor tensor;
    tensor.name = "t";
    tensor.shape = {rows, 4};
    tensor.offset = offset;
    tensor.bytes = rows * 16;
    tensor.block_bytes = block_bytes;
    tensor.checksums.resize((tensor.bytes + block_bytes - 1) / block_bytes);
    return tensor;
}

WeightRequest replicated(std::size_t rows, std::size_t ranks) {
    return {"t", std::vector<Region>(ranks, Region{{0, rows}, {0, 4}}), {}};
}

/// The same limit for each of so many ranks.
std::vector<std::size_t> each(int ranks, std::size_t limit) {
    return std::vector<std::size_t>(static_cast<std::size_t>(ranks), limit);
}

/// Runs all rounds; checks that each block is read once and what a rank holds.
std::size_t count_rounds(LoadRounds& rounds, int ranks, std::size_t limit) {
    std::set<std::size_t> read;
    std::size_t count = 0;
    for (; !rounds.done(); ++count) {
        auto const round = rounds.next();
        std::vector<std::size_t> received(static_cast<std::size_t>(ranks));
        std::size_t blocks = 0;
        for (int reader = 0; reader < ranks; ++reader) {
            auto const range = round[static_cast<std::size_t>(reader)];
            std::size_t sent = 0;
            for (auto i = range.begin; i < range.end(); ++i) {
                EXPECT_TRUE(read.insert(i).second) << "block " << i << " is read twice";
                ++blocks;
                auto const to_all = rounds.goes_to_all(rounds.blocks()[i]);
                if (to_all) sent += block_bytes;
                for (int rank = 0; rank < ranks; ++rank) {
                    if (rank == reader) continue;
                    auto const bytes =
                        to_all ? block_bytes : rounds.bytes_for(rounds.blocks()[i], rank);
                    if (!to_all) sent += bytes;
                    received[static_cast<std::size_t>(rank)] += bytes;
                }
            }
            EXPECT_TRUE(sent <= limit || blocks == 1);
            EXPECT_LE(range.count * block_bytes, limit);
        }
        EXPECT_GT(blocks, 0U);
        for (auto const bytes : received) EXPECT_TRUE(bytes <= limit || blocks == 1);
    }
    EXPECT_EQ(read.size(), rounds.blocks().size());
    return count;
}

TEST(LoadRounds, StayBelowTheStagingLimit) {
    auto const tensor = make_tensor(400, 0);
    for (int ranks : {1, 2, 3, 4, 7}) {
        auto const request = replicated(400, static_cast<std::size_t>(ranks));
        LoadRounds rounds({{&tensor, {&request}}}, each(ranks, 1024));
        EXPECT_EQ(rounds.blocks().size(), 100U);
        auto const count = count_rounds(rounds, ranks, 1024);
        EXPECT_GE(count, ranks == 1 ? 7U : 4U) << ranks;
    }
}

TEST(LoadRounds, RanksWithLittleRoomReadSideBySideForOneThatHasMuch) {
    auto const tensor = make_tensor(256, 0);
    auto request = replicated(256, 4);
    for (std::size_t rank : {1U, 2U, 3U}) request.regions[rank] = {};
    auto const limit = block_bytes;
    LoadRounds rounds({{&tensor, {&request}}}, {4 * limit, limit, limit, limit});
    EXPECT_EQ(count_rounds(rounds, 4, 4 * limit), 64U / 4) << "a block of each rank in each round";
}

TEST(LoadRounds, ABlockAboveTheLimitGetsARoundOfItsOwn) {
    auto const tensor = make_tensor(40, 0);
    WeightRequest const request{"t", std::vector<Region>(5, Region{{0, 40}, {0, 3}}), {}};
    LoadRounds rounds({{&tensor, {&request}}}, each(5, block_bytes));
    EXPECT_EQ(count_rounds(rounds, 5, block_bytes), 10U);
}

TEST(LoadRounds, WhatAllRanksWantWholeIsSentOnce) {
    auto const tensor = make_tensor(400, 0);
    auto const request = replicated(400, 40);
    LoadRounds rounds({{&tensor, {&request, &request}}}, each(40, 1024));
    EXPECT_TRUE(rounds.goes_to_all(rounds.blocks()[0]));
    EXPECT_LE(count_rounds(rounds, 40, 1024), 8U);
    WeightRequest part = request;
    part.regions.back().cols = {0, 3};
    LoadRounds const cut({{&tensor, {&request, &part}}}, each(40, 1024));
    EXPECT_FALSE(cut.goes_to_all(cut.blocks()[0]));
}

// q, k and v that are one tensor are three requests.
TEST(LoadRounds, WhatAllRanksWantInSlicesIsSentOnce) {
    auto const tensor = make_tensor(400, 0);
    auto const slice = [](std::size_t first, std::size_t rows) {
        return WeightRequest{"t", std::vector<Region>(40, Region{{first, rows}, {0, 4}}), {}};
    };
    auto const q = slice(0, 200), k = slice(200, 100), v = slice(300, 100);
    LoadRounds rounds({{&tensor, {&k, &q, &v}}}, each(40, 1024));
    EXPECT_TRUE(rounds.goes_to_all(rounds.blocks()[0]));
    EXPECT_LE(count_rounds(rounds, 40, 1024), 8U);
    LoadRounds const gap({{&tensor, {&q, &v}}}, each(40, 1024));
    EXPECT_FALSE(gap.goes_to_all(gap.blocks()[0]));
    auto one_has_less = k;
    one_has_less.regions[7].rows.count = 99;
    LoadRounds const less({{&tensor, {&q, &one_has_less, &v}}}, each(40, 1024));
    EXPECT_FALSE(less.goes_to_all(less.blocks()[0]));
}

TEST(LoadRounds, RanksOfAnotherNodeShareOneCopy) {
    auto const tensor = make_tensor(400, 0);
    auto const request = replicated(400, 5);
    std::vector<int> const nodes{0, 0, 2, 2, 2};
    LoadRounds rounds({{&tensor, {&request}}}, each(5, 1024), nodes);
    std::set<int> entrances;
    for (auto const& block : rounds.blocks()) {
        EXPECT_FALSE(rounds.goes_to_all(block));
        EXPECT_EQ(rounds.sender_of(block, 0, 1), 0);  // its own node
        std::vector<int> from_reader;
        for (int rank : {2, 3, 4}) {
            if (rounds.sender_of(block, 0, rank) == 0) from_reader.push_back(rank);
        }
        ASSERT_EQ(from_reader.size(), 1U);
        entrances.insert(from_reader.front());
        for (int rank : {2, 3, 4}) {
            if (rank == from_reader.front()) continue;
            EXPECT_EQ(rounds.sender_of(block, 0, rank), from_reader.front());
        }
    }
    EXPECT_EQ(entrances, (std::set<int>{2, 3, 4}));
    EXPECT_GE(count_rounds(rounds, 5, 4096), 1U);
}

TEST(LoadRounds, ThoseWhoWantDifferentPartsGetThemFromTheReader) {
    auto const tensor = make_tensor(400, 0);
    WeightRequest request{"t", {{{0, 100}, {0, 4}}, {{100, 300}, {0, 4}}, {{0, 400}, {0, 4}}}, {}};
    LoadRounds const rounds({{&tensor, {&request}}}, each(3, 1024), {0, 0, 2});
    for (auto const& block : rounds.blocks()) {
        for (int rank : {0, 1}) EXPECT_EQ(rounds.sender_of(block, 2, rank), 2);
    }
    LoadRounds const one_node({{&tensor, {&request}}}, each(3, 1024), {0, 0, 0});
    EXPECT_FALSE(one_node.several_nodes());
}

TEST(LoadRounds, BlocksThatNobodyNeedsAreLeftOut) {
    auto const tensor = make_tensor(40, 0);
    WeightRequest const request{"t", {{{0, 0}, {0, 4}}, {{8, 5}, {1, 2}}}, {}};
    LoadRounds rounds({{&tensor, {&request}}}, each(2, 1024));
    ASSERT_EQ(rounds.blocks().size(), 2U);
    EXPECT_EQ(rounds.blocks()[0].index, 2U);
    EXPECT_EQ(rounds.bytes_for(rounds.blocks()[0], 1), 4 * 2 * 4U);
    EXPECT_EQ(rounds.bytes_for(rounds.blocks()[1], 1), 1 * 2 * 4U);
    EXPECT_EQ(count_rounds(rounds, 2, 1024), 1U);
}

TEST(LoadRounds, ReadInTheOrderOfTheFile) {
    auto const second = make_tensor(4, 640);
    auto const first = make_tensor(40, 0);
    auto const a = replicated(4, 1);
    auto const b = replicated(40, 1);
    LoadRounds const rounds({{&second, {&a}}, {&first, {&b}}}, each(1, 1024));
    std::size_t last = 0;
    for (auto const& block : rounds.blocks()) {
        EXPECT_GE(block.file_offset(), last);
        last = block.file_offset();
    }
}

TEST(LoadRounds, NothingToDoIsDone) {
    LoadRounds const rounds({}, each(3, 1024));
    EXPECT_TRUE(rounds.done());
}

}  // namespace
}  // namespace tesserank::io
