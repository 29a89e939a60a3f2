#include "model/static_batch.hpp"

#include "kernels/error.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using test::tiny_decoder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::int32_t> numbered(std::size_t length, std::int32_t first) {
    std::vector<std::int32_t> tokens(length);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
}

/// Three prompts of 5, 1 and 4 tokens; tokens count up, from 100, 200 and 300.
std::vector<Sequence> three_prompts() {
    return {{numbered(5, 100), 3, 4, 0}, {numbered(1, 200), 2, 0, 0}, {numbered(4, 300), 1, 3, 0}};
}

std::vector<float> rotary_row(DecoderConfig const& config, std::size_t length,
                              std::size_t position) {
    std::vector<float> row(config.head_dim);
    write_rotary_row(config.rope, rotary_frequencies(config.rope, config.head_dim, length),
                     position, row.data());
    return row;
}

/// Row `row` of a step's cos_sin.
std::vector<float> row_of(Step const& step, std::size_t row, std::size_t width) {
    auto const begin = step.cos_sin.begin() + static_cast<std::ptrdiff_t>(row * width);
    return {begin, begin + static_cast<std::ptrdiff_t>(width)};
}

class StaticBatchChunks : public ::testing::TestWithParam<std::size_t> {};

/// Replays the steps as a cache would see them: every prompt token arrives once, in order, at the
/// position and in the cache row where it belongs.
TEST_P(StaticBatchChunks, BringEachTokenOnceToItsPlaceWithoutPadding) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, three_prompts());
    std::vector<std::int32_t> cache(batch.cache_rows().all, -1);
    std::size_t steps = 0;
    for (auto next = batch.next_prefill(GetParam()); !next.step.ids.empty();
         next = batch.next_prefill(GetParam()), ++steps) {
        auto const& step = next.step;
        EXPECT_EQ(step.phase, Step::Phase::prefill);
        EXPECT_LE(step.ids.size(), GetParam());
        EXPECT_EQ(step.cos_sin.size(), step.ids.size() * config.head_dim);
        std::size_t row = 0;
        for (auto const& segment : step.segments) {
            EXPECT_EQ(segment.row, row) << "segments cover the rows in order";
            EXPECT_GT(segment.tokens, 0);
            for (std::size_t i = 0; i < segment.tokens; ++i, ++row) {
                std::size_t const position = segment.first_position + i;
                auto& place = cache.at(segment.cache_row + position);
                EXPECT_EQ(place, -1) << "written twice";
                place = step.ids.at(row);
                EXPECT_EQ(row_of(step, row, config.head_dim), rotary_row(config, 9, position));
            }
        }
        EXPECT_EQ(row, step.ids.size());
    }
    EXPECT_EQ(steps, (10 + GetParam() - 1) / GetParam()) << "every step but the last is full";
    // Room for new tokens follows each prompt.
    EXPECT_THAT(cache, ElementsAre(100, 101, 102, 103, 104, -1, -1, -1, 200, -1, -1, 300, 301, 302,
                                   303, -1));
}

TEST_P(StaticBatchChunks, AskForTheLogitsOfTheWantedPositionsOnly) {
    auto const config = tiny_decoder();
    auto sequences = three_prompts();
    sequences[0].first_output = 2;
    StaticBatch batch(config, sequences);
    std::vector<std::pair<std::size_t, std::size_t>> outputs;
    for (auto next = batch.next_prefill(GetParam()); !next.step.ids.empty();
         next = batch.next_prefill(GetParam())) {
        ASSERT_EQ(next.output_rows.size(), next.outputs.size());
        for (std::size_t i = 0; i < next.outputs.size(); ++i) {
            auto const [sequence, position] = next.outputs[i];
            outputs.emplace_back(sequence, position);
            EXPECT_EQ(next.step.ids.at(next.output_rows[i]), sequences[sequence].prompt[position]);
        }
    }
    using P = std::pair<std::size_t, std::size_t>;
    EXPECT_THAT(outputs, ElementsAre(P{0, 2}, P{0, 3}, P{0, 4}, P{1, 0}, P{2, 3}));
}

INSTANTIATE_TEST_SUITE_P(MaxRows, StaticBatchChunks, ::testing::Values(1, 3, 7, 10, 512));

// By hand: 7 rows hold the first prompt, the second, and one token of the third.
TEST(StaticBatch, PacksPiecesOfSeveralPromptsIntoAStep) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, three_prompts());
    auto const first = batch.next_prefill(7);
    EXPECT_THAT(first.step.ids, ElementsAre(100, 101, 102, 103, 104, 200, 300));
    ASSERT_EQ(first.step.segments.size(), 3);
    EXPECT_EQ(first.step.segments[2].row, 6);
    EXPECT_EQ(first.step.segments[2].cache_row, 11);
    EXPECT_THAT(first.output_rows, ElementsAre(4, 5));
    auto const second = batch.next_prefill(7);
    EXPECT_THAT(second.step.ids, ElementsAre(301, 302, 303));
    EXPECT_EQ(second.step.segments.at(0).first_position, 1);
    EXPECT_THAT(second.output_rows, ElementsAre(2));
    EXPECT_THAT(batch.next_prefill(7).step.ids, IsEmpty());
}

TEST(StaticBatch, NeedsCacheForPromptsAndNewTokens) {
    auto const config = tiny_decoder();
    EXPECT_EQ(StaticBatch(config, three_prompts()).cache_rows().all, 5 + 3 + 1 + 2 + 4 + 1);
    EXPECT_EQ(StaticBatch(config, {}).cache_rows().all, 0);
    EXPECT_THAT(StaticBatch(config, {}).next_prefill(5).step.ids, IsEmpty());
}

TEST(StaticBatch, DecodesTheRunningSequencesAtTheirOwnPositions) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, three_prompts());
    static_cast<void>(batch.next_prefill(512));
    auto const step = batch.decode(std::array<std::size_t, 2>{0, 2}, std::array{11, 33});
    EXPECT_EQ(step.phase, Step::Phase::decode);
    EXPECT_THAT(step.ids, ElementsAre(11, 33));
    ASSERT_EQ(step.segments.size(), 2);
    EXPECT_EQ(step.segments[0].row, 0);
    EXPECT_EQ(step.segments[0].tokens, 1);
    EXPECT_EQ(step.segments[0].first_position, 5);
    EXPECT_EQ(step.segments[0].cache_row, 0);
    EXPECT_EQ(step.segments[1].row, 1);
    EXPECT_EQ(step.segments[1].first_position, 4);
    EXPECT_EQ(step.segments[1].cache_row, 11);
    EXPECT_EQ(row_of(step, 0, config.head_dim), rotary_row(config, 9, 5));

    auto const next = batch.decode(std::array<std::size_t, 1>{0}, std::array{12});
    EXPECT_EQ(next.segments.at(0).first_position, 6);
    EXPECT_EQ(next.segments.at(0).cache_row, 0);
}

// Prompts of 5, 1 and 4 tokens on two owners: 0 and 1 on the first, 2 on the second.
TEST(StaticBatch, DealsRowsOutOverTheOwners) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, three_prompts(), 2);
    EXPECT_EQ(batch.cache_rows().all, 16);
    EXPECT_THAT(batch.cache_rows().dealt, ElementsAre(11, 5));
    auto const first = batch.next_prefill(6).step;
    EXPECT_THAT(first.ids, ElementsAre(100, 101, 102, 300, 301, 302));
    EXPECT_EQ(first.rows_by_owner(), parallel::Partition::of_shares({3, 3}));
    EXPECT_EQ(first.segments[1].cache_row, 11);
    EXPECT_EQ(first.dealt[1][0].row, 0) << "counted from the owner's first row";
    EXPECT_EQ(first.dealt[1][0].cache_row, 0) << "and from its first sequence";
    // What one owner has no use for goes to the other.
    auto const second = batch.next_prefill(6).step;
    EXPECT_THAT(second.ids, ElementsAre(103, 104, 200, 303));
    EXPECT_EQ(second.rows_by_owner(), parallel::Partition::of_shares({3, 1}));
    EXPECT_EQ(second.dealt[0][1].cache_row, 8);
    auto const decoded = batch.decode(std::array<std::size_t, 2>{1, 2}, std::array{7, 8});
    EXPECT_EQ(decoded.rows_by_owner(), parallel::Partition::of_shares({1, 1}));
    EXPECT_EQ(decoded.dealt[1][0].first_position, 4);
}

TEST(StaticBatch, GoesOnWhenThereAreMoreOwnersThanRowsOrSequences) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, three_prompts(), 5);
    EXPECT_THAT(batch.cache_rows().dealt, ElementsAre(8, 3, 5, 0, 0));
    std::size_t rows = 0;
    for (auto next = batch.next_prefill(2); !next.step.ids.empty(); next = batch.next_prefill(2)) {
        EXPECT_LE(next.step.ids.size(), 2);
        rows += next.step.ids.size();
    }
    EXPECT_EQ(rows, 10);
}

/// Three prompts of 6, 2 and 5 tokens. The first has features at 1, 2 and 4, the last at 0 to 3.
std::vector<Sequence> prompts_with_features() {
    return {{.prompt = numbered(6, 100), .places = {{1, 2}, {4, 1}}},
            {.prompt = numbered(2, 200)},
            {.prompt = numbered(5, 300), .places = {{0, 4}}}};
}

/// Which feature each token of the prompts takes, as steps of so many rows say; -1 for none.
std::map<std::int32_t, int> features_by_token(int owners, std::size_t rows) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, prompts_with_features(), owners);
    EXPECT_EQ(batch.features(), 7);
    std::map<std::int32_t, int> found;
    for (auto next = batch.next_prefill(rows); !next.step.ids.empty();
         next = batch.next_prefill(rows)) {
        for (auto const id : next.step.ids) found[id] = -1;
        for (auto const& [row, count, feature] : next.step.features) {
            for (std::size_t i = 0; i < count; ++i) {
                found[next.step.ids.at(row + i)] = static_cast<int>(feature + i);
            }
        }
    }
    return found;
}

TEST(StaticBatch, SaysWhichRowsTakeFeaturesInChunksAndDealtOut) {
    std::map<std::int32_t, int> const wanted{{100, -1}, {101, 0},  {102, 1},  {103, -1}, {104, 2},
                                             {105, -1}, {200, -1}, {201, -1}, {300, 3},  {301, 4},
                                             {302, 5},  {303, 6},  {304, -1}};
    for (int const owners : {1, 2, 3, 5}) {
        for (std::size_t const rows : {1U, 2U, 3U, 5U, 512U}) {
            EXPECT_EQ(features_by_token(owners, rows), wanted)
                << owners << " owners, " << rows << " rows";
        }
    }
}

TEST(StaticBatch, HasNoFeaturesInDecode) {
    auto const config = tiny_decoder();
    auto prompts = prompts_with_features();
    prompts[0].max_new_tokens = 1;
    StaticBatch batch(config, prompts);
    static_cast<void>(batch.next_prefill(512));
    EXPECT_THAT(batch.decode(std::array<std::size_t, 1>{0}, std::array{5}).features, IsEmpty());
}

TEST(StaticBatch, RefusesATokenBeyondItsCache) {
    auto const config = tiny_decoder();
    StaticBatch batch(config, {{numbered(2, 0), 1, 1, 0}});
    static_cast<void>(batch.next_prefill(512));
    std::array<std::size_t, 1> const only{0};
    static_cast<void>(batch.decode(only, std::array{5}));
    EXPECT_THROW(static_cast<void>(batch.decode(only, std::array{6})), kernels::LogicError);
}

TEST(StaticBatch, TurnsEachSequenceByItsOwnLengthUnderDynamicNtk) {
    auto config = tiny_decoder();
    config.rope = {.kind = RopeConfig::Kind::dynamic_ntk, .factor = 2.0, .original_context = 2};
    StaticBatch batch(config, three_prompts());
    auto const step = batch.next_prefill(512).step;
    EXPECT_EQ(row_of(step, 4, config.head_dim), rotary_row(config, 5, 4));
    EXPECT_EQ(row_of(step, 9, config.head_dim), rotary_row(config, 4, 3));
    EXPECT_NE(rotary_row(config, 5, 3), rotary_row(config, 4, 3));
    // New tokens turn like the prompt.
    auto const next = batch.decode(std::array<std::size_t, 1>{2}, std::array{7});
    EXPECT_EQ(row_of(next, 0, config.head_dim), rotary_row(config, 4, 4));
}

}  // namespace
}  // namespace tesserank::model
