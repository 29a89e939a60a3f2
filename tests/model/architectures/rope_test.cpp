#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::model {
namespace {

using test::input_error_of;
using test::json;
using test::object;
using test::Object;
using test::tiny_config;
using test::with;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = RopeConfig::Kind;

/// The key of rope settings, as transformers 4 and 5 spell it; in 5 it holds rope_theta too.
class RopeOfConfig : public ::testing::TestWithParam<char const*> {
  protected:
    Object config_with(Object const& rope) const {
        bool const nested = GetParam() == std::string("rope_parameters");
        auto const settings = nested ? with(rope, {{"rope_theta", 500000.0}}) : rope;
        auto config = with(tiny_config("llama"), {{GetParam(), settings}});
        return nested ? config : with(config, {{"rope_theta", 500000.0}});
    }
    DecoderConfig described(Object const& rope) const {
        return describe_model(json(config_with(rope)));
    }
    std::string refusal(Object const& rope) const {
        return input_error_of([&] { described(rope); });
    }
};

TEST_P(RopeOfConfig, IsPlainByDefault) {
    for (auto const& rope : {object({}), object({{"rope_type", "default"}})}) {
        auto const config = described(rope);
        EXPECT_EQ(config.rope.kind, Kind::plain);
        EXPECT_EQ(config.rope.theta, 500000.0);
        EXPECT_EQ(config.rope.factor, 1.0);
        EXPECT_EQ(config.rope.attention_factor, 1.0);
        EXPECT_EQ(config.context, 128);
    }
}

TEST_P(RopeOfConfig, ReadsLinearUnderBothNamesOfTheType) {
    for (auto const* key : {"type", "rope_type"}) {
        auto const config = described(object({{key, "linear"}, {"factor", 4.0}}));
        EXPECT_EQ(config.rope.kind, Kind::linear);
        EXPECT_EQ(config.rope.factor, 4.0);
        EXPECT_EQ(config.context, 512);
    }
}

TEST_P(RopeOfConfig, ReadsDynamicNtk) {
    auto const config = described(object({{"rope_type", "dynamic"}, {"factor", 2}}));
    EXPECT_EQ(config.rope.kind, Kind::dynamic_ntk);
    EXPECT_EQ(config.rope.factor, 2.0);
    EXPECT_EQ(config.rope.original_context, 128);
    EXPECT_EQ(config.context, 256);
}

TEST_P(RopeOfConfig, ReadsLlama3WhoseContextIsTheExtendedOne) {
    auto const rope = object({{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.5},
                              {"high_freq_factor", 5.0},
                              {"original_max_position_embeddings", 32}});
    auto const config = described(rope);
    EXPECT_EQ(config.rope.kind, Kind::llama3);
    EXPECT_EQ(config.rope.factor, 8.0);
    EXPECT_EQ(config.rope.low_freq_factor, 1.5);
    EXPECT_EQ(config.rope.high_freq_factor, 5.0);
    EXPECT_EQ(config.rope.original_context, 32);
    EXPECT_EQ(config.context, 128);
    EXPECT_THAT(refusal(with(rope, {{"high_freq_factor", 1.5}})), HasSubstr("high_freq_factor"));
    EXPECT_THAT(refusal(test::without(rope, "low_freq_factor")), HasSubstr("low_freq_factor"));
}

// 0.1 ln 4 + 1 = 1.13863, the attention factor that YaRN's paper suggests; with both mscales
// (0.0707 ln 40 + 1) / (0.1 ln 40 + 1) = 0.921042, as transformers 5.23 computes it.
TEST_P(RopeOfConfig, ReadsYarn) {
    auto const rope =
        object({{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}});
    auto const plain = described(rope);
    EXPECT_EQ(plain.rope.kind, Kind::yarn);
    EXPECT_EQ(plain.rope.original_context, 64);
    EXPECT_EQ(plain.rope.beta_fast, 32.0);
    EXPECT_EQ(plain.rope.beta_slow, 1.0);
    EXPECT_TRUE(plain.rope.truncate);
    EXPECT_NEAR(plain.rope.attention_factor, 1.138629436111989, 1e-12);
    EXPECT_EQ(plain.context, 256);

    auto const mscales =
        described(with(rope, {{"factor", 40.0}, {"mscale", 0.707}, {"mscale_all_dim", 1.0}}));
    EXPECT_NEAR(mscales.rope.attention_factor, 0.9210423553163399, 1e-12);
    EXPECT_EQ(described(with(rope, {{"attention_factor", 1.25}})).rope.attention_factor, 1.25);
    EXPECT_EQ(described(with(rope, {{"factor", 0.5}})).rope.attention_factor, 1.0);

    auto const bounds =
        described(with(rope, {{"beta_fast", 16}, {"beta_slow", 2}, {"truncate", false}}));
    EXPECT_EQ(bounds.rope.beta_fast, 16.0);
    EXPECT_EQ(bounds.rope.beta_slow, 2.0);
    EXPECT_FALSE(bounds.rope.truncate);
}

TEST_P(RopeOfConfig, RefusesAnUnknownTypeAndListsTheKnownOnes) {
    EXPECT_THAT(refusal(object({{"rope_type", "longrope"}, {"factor", 2.0}})),
                AllOf(HasSubstr(GetParam()), HasSubstr("\"longrope\""), HasSubstr("llama3, yarn")));
}

TEST_P(RopeOfConfig, NamesAnUnknownNestedKey) {
    EXPECT_THAT(refusal(object({{"rope_type", "linear"}, {"factor", 2.0}, {"finetuned", true}})),
                AllOf(HasSubstr(GetParam()), HasSubstr("finetuned = true")));
    // A key of another type of scaling is not understood either.
    EXPECT_THAT(refusal(object({{"rope_type", "default"}, {"factor", 2.0}})),
                HasSubstr("factor = 2"));
}

TEST_P(RopeOfConfig, RefusesNumbersThatMakeNoSense) {
    EXPECT_THAT(refusal(object({{"rope_type", "linear"}, {"factor", 0.0}})), HasSubstr("factor"));
    EXPECT_THAT(refusal(object({{"rope_type", "linear"}, {"factor", "2"}})), HasSubstr("factor"));
    EXPECT_THAT(refusal(object({{"rope_type", "linear"}})), HasSubstr("factor is missing"));
    EXPECT_THAT(refusal(object({{"rope_type", "yarn"}, {"factor", 2.0}, {"beta_fast", -1}})),
                HasSubstr("beta_fast"));
}

TEST_P(RopeOfConfig, RefusesAFactorThatNoContextCanHave) {
    EXPECT_THAT(refusal(object({{"rope_type", "linear"}, {"factor", 1e300}})), HasSubstr("factor"));
}

TEST_P(RopeOfConfig, AcceptsOnlyAWholePartialRotaryFactor) {
    EXPECT_EQ(described(object({{"partial_rotary_factor", 1.0}})).rope.kind, Kind::plain);
    EXPECT_THAT(refusal(object({{"partial_rotary_factor", 0.5}})),
                HasSubstr("partial_rotary_factor"));
}

INSTANTIATE_TEST_SUITE_P(Spellings, RopeOfConfig,
                         ::testing::Values("rope_scaling", "rope_parameters"),
                         [](auto const& param) { return std::string(param.param); });

TEST(RopeOfConfig, RefusesAPartialRotaryFactorBesideTheSizes) {
    auto const config = tiny_config("llama");
    EXPECT_NO_THROW(describe_model(json(with(config, {{"partial_rotary_factor", 1.0}}))));
    EXPECT_THAT(input_error_of([&] {
                    describe_model(json(with(config, {{"partial_rotary_factor", 0.25}})));
                }),
                HasSubstr("partial_rotary_factor"));
}

TEST(RopeOfConfig, RefusesBothSpellingsInOneConfig) {
    auto const rope = object({{"rope_type", "linear"}, {"factor", 2.0}});
    auto const config =
        with(tiny_config("llama"), {{"rope_parameters", rope}, {"rope_scaling", rope}});
    EXPECT_THAT(input_error_of([&] { describe_model(json(config)); }),
                HasSubstr("rope_scaling stands beside rope_parameters"));
    EXPECT_NO_THROW(describe_model(json(with(config, {{"rope_scaling", nullptr}}))));
}

TEST(RopeOfConfig, RefusesAThetaThatTurnsNothing) {
    for (double const theta : {1.0, 0.0, -10000.0}) {
        auto const config = with(tiny_config("llama"), {{"rope_theta", theta}});
        EXPECT_THAT(input_error_of([&] { describe_model(json(config)); }), HasSubstr("rope_theta"));
    }
}

}  // namespace
}  // namespace tesserank::model
