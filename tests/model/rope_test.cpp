#include "model/rope.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using Kind = RopeConfig::Kind;

RopeConfig const llama3{.kind = Kind::llama3,
                        .theta = 500000.0,
                        .factor = 8.0,
                        .original_context = 8192,
                        .low_freq_factor = 1.0,
                        .high_freq_factor = 4.0};
RopeConfig const dynamic{.kind = Kind::dynamic_ntk, .factor = 2.0, .original_context = 2048};
RopeConfig const yarn{
    .kind = Kind::yarn, .theta = 1000000.0, .factor = 4.0, .original_context = 32768};

RopeConfig yarn_without_truncation() {
    auto rope = yarn;
    rope.truncate = false;
    return rope;
}

/// Frequencies that transformers 5.23 computes for the same settings on the CPU in float32
/// (modeling_rope_utils.py, ROPE_INIT_FUNCTIONS), printed with 9 digits.
struct Expected {
    std::string name;
    RopeConfig rope;
    std::size_t head_dim, length;
    std::vector<std::pair<std::size_t, float>> frequencies;  ///< index, value
};
void PrintTo(Expected const& expected, std::ostream* out) { *out << expected.name; }

class RotaryFrequencies : public ::testing::TestWithParam<Expected> {};

// Two libraries' pow in float: a few units in the last place.
TEST_P(RotaryFrequencies, AreThoseOfTransformers) {
    auto const& expected = GetParam();
    auto const found = rotary_frequencies(expected.rope, expected.head_dim, expected.length);
    ASSERT_EQ(found.size(), expected.head_dim / 2);
    for (auto const& [index, value] : expected.frequencies) {
        EXPECT_NEAR(found[index], value, 2e-6F * value) << "index " << index;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, RotaryFrequencies,
    ::testing::Values(
        Expected{"plain",
                 {},
                 128,
                 9,
                 {{0, 1.0F}, {1, 0.865964353F}, {5, 0.486967534F}, {63, 0.000115478193F}}},
        Expected{"plain_500000",
                 {.theta = 500000.0},
                 64,
                 9,
                 {{0, 1.0F}, {1, 0.663601279F}, {16, 0.00141421345F}, {31, 3.01385808e-06F}}},
        Expected{"linear",
                 {.kind = Kind::linear, .factor = 4.0},
                 128,
                 9,
                 {{0, 0.25F}, {1, 0.216491088F}, {16, 0.0250000004F}, {63, 2.88695483e-05F}}},
        Expected{"dynamic_short", dynamic, 128, 2048, {{1, 0.865964353F}, {63, 0.000115478193F}}},
        Expected{"dynamic_one_more",
                 dynamic,
                 128,
                 2049,
                 {{1, 0.865950942F}, {32, 0.00999504328F}, {63, 0.000115365539F}}},
        Expected{"dynamic_long",
                 dynamic,
                 128,
                 8192,
                 {{0, 1.0F}, {1, 0.839625776F}, {32, 0.00372172147F}, {63, 1.6496886e-05F}}},
        Expected{"llama3",
                 llama3,
                 128,
                 9,
                 {{1, 0.814617217F},
                  {28, 0.00321144611F},
                  {29, 0.00216657063F},
                  {32, 0.000524846022F},
                  {35, 9.55621217e-05F},
                  {36, 7.78465546e-05F},
                  {63, 3.06892588e-07F}}},
        Expected{"yarn",
                 yarn,
                 128,
                 9,
                 {{1, 0.805842221F},
                  {23, 0.00697830599F},
                  {24, 0.00537532149F},
                  {32, 0.000602941145F},
                  {39, 6.4903943e-05F},
                  {40, 4.44569851e-05F},
                  {63, 3.10234441e-07F}}},
        Expected{"yarn_without_truncation",
                 yarn_without_truncation(),
                 128,
                 9,
                 {{1, 0.805842221F}, {32, 0.000607408001F}, {63, 3.10234441e-07F}}},
        Expected{
            "yarn_with_bounds",
            {.kind = Kind::yarn,
             .factor = 16.0,
             .original_context = 4096,
             .beta_fast = 16.0,
             .beta_slow = 2.0},
            64,
            9,
            {{8, 0.100000001F}, {16, 0.00583333336F}, {24, 6.2500003e-05F}, {31, 8.3345094e-06F}}}),
    [](auto const& param) { return param.param.name; });

TEST(RotaryFrequencies, FallWithTheIndexForEveryKind) {
    for (auto const& rope : {RopeConfig{}, llama3, dynamic, yarn}) {
        auto const frequencies = rotary_frequencies(rope, 128, 5000);
        for (std::size_t i = 1; i < frequencies.size(); ++i) {
            EXPECT_LT(frequencies[i], frequencies[i - 1]);
            EXPECT_GT(frequencies[i], 0.0F);
        }
    }
}

TEST(RotaryFrequencies, ArePlainWhenTheFactorIsOne) {
    auto const plain = rotary_frequencies({}, 32, 9);
    for (auto const kind : {Kind::linear, Kind::dynamic_ntk, Kind::llama3, Kind::yarn}) {
        auto const scaled = rotary_frequencies({.kind = kind, .original_context = 16}, 32, 9);
        for (std::size_t i = 0; i < plain.size(); ++i) {
            EXPECT_NEAR(scaled[i], plain[i], 1e-6F * plain[i]);
        }
    }
}

TEST(RotaryFrequencies, OfDynamicNtkAreNotLargerForALongerSequence) {
    auto const shorter = rotary_frequencies(dynamic, 64, 3000);
    auto const longer = rotary_frequencies(dynamic, 64, 6000);
    EXPECT_EQ(rotary_frequencies(dynamic, 64, 1), rotary_frequencies({}, 64, 1));
    for (std::size_t i = 1; i < shorter.size(); ++i) EXPECT_LT(longer[i], shorter[i]);
}

TEST(RotaryFrequencies, OfOtherKindsDoNotDependOnTheLength) {
    for (auto const& rope : {RopeConfig{}, llama3, yarn}) {
        EXPECT_EQ(rotary_frequencies(rope, 64, 1), rotary_frequencies(rope, 64, 100000));
    }
}

// YaRN's middle is a blend, so no frequency leaves the range between kept and stretched.
TEST(RotaryFrequencies, OfYarnLieBetweenKeptAndStretched) {
    auto const plain = rotary_frequencies({.theta = yarn.theta}, 128, 9);
    auto const scaled = rotary_frequencies(yarn, 128, 9);
    for (std::size_t i = 0; i < plain.size(); ++i) {
        EXPECT_LE(scaled[i], plain[i] * 1.000001F);
        EXPECT_GE(scaled[i], plain[i] / 4.000001F);
    }
}

// Position 3 and D = 8 with the YaRN settings above, from transformers' LlamaRotaryEmbedding.
TEST(WriteRotaryRow, GivesTheCosinesAndSinesOfTransformers) {
    auto rope = yarn;
    rope.attention_factor = 1.138629436111989;
    std::vector<float> row(8);
    write_rotary_row(rope, rotary_frequencies(rope, 8, 9), 3, row.data());
    std::vector<float> const expected{-1.12723458F, 1.1335094F,  1.13862741F,    1.13862944F,
                                      0.160683393F, 0.10785792F, 0.00213492918F, 2.70049659e-05F};
    for (std::size_t i = 0; i < row.size(); ++i) EXPECT_NEAR(row[i], expected[i], 1e-6F);
}

TEST(WriteRotaryRow, HasUnitNormTimesTheAttentionFactor) {
    for (double const factor : {1.0, 0.5, 1.25}) {
        RopeConfig const rope{.attention_factor = factor};
        auto const frequencies = rotary_frequencies(rope, 16, 9);
        for (std::size_t const position : {0U, 1U, 7U, 100000U}) {
            std::vector<float> row(16);
            write_rotary_row(rope, frequencies, position, row.data());
            for (std::size_t i = 0; i < 8; ++i) {
                EXPECT_NEAR(std::hypot(row[i], row[8 + i]), factor, 1e-6);
            }
        }
    }
}

TEST(WriteRotaryRow, DoesNotTurnPositionZero) {
    std::vector<float> row(4);
    write_rotary_row({}, rotary_frequencies({}, 4, 1), 0, row.data());
    EXPECT_EQ(row, (std::vector<float>{1, 1, 0, 0}));
}

}  // namespace
}  // namespace tesserank::model
