#include "io/requests/generation_defaults.hpp"

#include "io/requests/config_json.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

model::SamplingOptions defaults(std::string_view json) {
    return default_sampling(parse_config(json, "generation_config.json"));
}

TEST(GenerationDefaults, AreGreedyUnlessTheModelSamples) {
    auto const options = defaults(R"({"temperature": 0.7, "top_k": 20, "top_p": 0.8})");
    EXPECT_EQ(options.temperature, 0.0F);
    EXPECT_EQ(options.top_k, 0U);
    EXPECT_EQ(options.top_p, 1.0F);
    EXPECT_EQ(defaults(R"({"do_sample": false, "temperature": 0.7})").temperature, 0.0F);
}

TEST(GenerationDefaults, AreTheModelsWhereItSamples) {
    auto const options = defaults(
        R"({"do_sample": true, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.1,)"
        R"( "repetition_penalty": 1.05})");
    EXPECT_EQ(options.temperature, 0.7F);
    EXPECT_EQ(options.top_k, 20U);
    EXPECT_EQ(options.top_p, 0.8F);
    EXPECT_EQ(options.min_p, 0.1F);
    EXPECT_EQ(options.repetition_penalty, 1.05F);
}

TEST(GenerationDefaults, AreThoseOfTransformersWhereOnlySamplingIsAskedFor) {
    auto const options = defaults(R"({"do_sample": true})");
    EXPECT_EQ(options.temperature, 1.0F);
    EXPECT_EQ(options.top_k, 50U);
    EXPECT_EQ(options.top_p, 1.0F);
    EXPECT_EQ(defaults(R"({"do_sample": true, "top_k": null})").top_k, 0U);
}

TEST(GenerationDefaults, ThePenaltyHoldsForGreedyToo) {
    EXPECT_EQ(defaults(R"({"repetition_penalty": 1.05})").repetition_penalty, 1.05F);
}

TEST(GenerationDefaults, WrongValuesAreRefusedByName) {
    auto const refuses = [](std::string_view json, std::string_view words) {
        EXPECT_THAT([&] { defaults(json); },
                    ThrowsMessage<kernels::InputError>(HasSubstr(std::string(words))));
    };
    refuses(R"({"do_sample": 1})", "do_sample: expected true or false");
    refuses(R"({"do_sample": true, "temperature": -1})",
            "temperature: expected a number from 0 to 100");
    refuses(R"({"do_sample": true, "top_p": "all"})", "top_p: expected a number");
    refuses("[]", "expected an object");
}

}  // namespace
}  // namespace tesserank::io
