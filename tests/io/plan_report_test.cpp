#include "io/plan_report.hpp"

#include "io/json_reader.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "model/vision/vision_plan.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;

JsonDocument report(std::string const& wish, int ranks) {
    auto const config = test::tiny_decoder();
    auto const modules = model::describe_modules(config);
    auto plan = model::make_plan(modules, wish, ranks);
    model::settle_streams(plan, modules, kernels::DType::f32);
    auto const facts = model::facts_of(
        config, plan, {.compute = kernels::DType::f32, .max_rows = 64, .max_logit_rows = 64},
        {.batch = 5, .prompt = 8, .new_tokens = 4, .candidates = 1},
        [](std::string_view) { return kernels::DType::bf16; });
    PlanPrediction const prediction{
        "a machine", {}, {{1.5, 0.25}, 3, "arithmetic"}, {{2.0, 1.0}, 4, "attention"}};
    return {plan_report_json(facts, prediction, "a title"), "report"};
}

/// "before layers.0.mlp: all-gather" of the first decode step.
std::vector<std::string> decode_exchanges(JsonDocument const& report) {
    std::vector<std::string> lines;
    for (auto const& exchange :
         report.root().at("decode").elements().front().at("exchanges").elements()) {
        lines.push_back(exchange.at("place").string() + " " + exchange.at("module").string() +
                        ": " + exchange.at("collective").string());
    }
    return lines;
}

std::vector<std::int64_t> numbers(JsonNode const& list) {
    std::vector<std::int64_t> values;
    for (auto const& value : list.elements()) values.push_back(value.integer(0, 1 << 30));
    return values;
}

TEST(PlanReport, SaysOnWhichSideOfItsModuleAnExchangeIs) {
    auto const lines = decode_exchanges(report("split-batch-attention", 2));
    ASSERT_GE(lines.size(), 5U);
    EXPECT_EQ(lines[0], "behind embedding: reduce-scatter");
    EXPECT_EQ(lines[1], "before layers.0.mlp: all-gather");
    EXPECT_EQ(lines[2], "behind layers.0.mlp: reduce-scatter");
    EXPECT_EQ(lines[lines.size() - 2], "behind lm_head: gather");
    EXPECT_EQ(lines.back(), "behind lm_head: broadcast");
}

TEST(PlanReport, TellsTheBroadcastOfTokensFromThatOfALayersResult) {
    auto const lines = decode_exchanges(
        report("embedding=single:1,layers.*.attention=single:1,layers.*.mlp=single:1", 2));
    // The lm_head is cut and wants the residual stream everywhere; its candidates come behind it.
    EXPECT_EQ(lines[lines.size() - 2], "behind lm_head: gather");
    EXPECT_EQ(lines[lines.size() - 1], "behind lm_head: broadcast");
    EXPECT_THAT(lines[lines.size() - 3], EndsWith(": broadcast"));
}

TEST(PlanReport, SaysWhichUnitsARankComputes) {
    auto const document = report("shard", 3);
    auto const embedding = document.root().at("modules").elements().front();
    EXPECT_EQ(embedding.at("name").string(), "embedding");
    auto const units = numbers(embedding.at("units"));
    EXPECT_THAT(numbers(embedding.at("unit_begins")),
                ElementsAre(0, units[0], units[0] + units[1]));
}

TEST(PlanReport, SaysWhatIsPredicted) {
    auto const document = report("shard", 2);
    auto const predicted = document.root().at("predicted");
    EXPECT_EQ(predicted.at("machine").string(), "a machine");
    auto const prefill = predicted.at("prefill");
    EXPECT_EQ(prefill.at("steps").integer(0, 100), 3);
    EXPECT_EQ(prefill.at("seconds").number(), 1.75);
    EXPECT_EQ(prefill.at("work_seconds").number(), 1.5);
    EXPECT_EQ(prefill.at("exchange_seconds").number(), 0.25);
    EXPECT_EQ(prefill.at("limit").string(), "arithmetic");
    EXPECT_EQ(predicted.at("decode").at("limit").string(), "attention");
}

TEST(PlanReport, SaysHowPicturesAreEncoded) {
    auto const config = test::vision_decoder();
    auto const modules = model::describe_modules(config);
    auto plan = model::make_plan(modules, "vision.*=split-batch", 3);
    model::settle_streams(plan, modules, kernels::DType::f32);
    auto const facts = model::facts_of(config, plan, {.max_rows = 64, .max_logit_rows = 64},
                                       {.batch = 2, .prompt = 20, .new_tokens = 4, .tiles = 2},
                                       [](std::string_view) { return kernels::DType::bf16; });
    JsonDocument const document(plan_report_json(facts, {}, "a title"), "report");
    auto const root = document.root();
    EXPECT_EQ(root.at("modules").elements().front().at("kind").string(), "patch_embedding");
    EXPECT_EQ(root.at("workload").at("tiles").integer(0, 100), 2);
    auto const encode = root.at("encode").elements();
    ASSERT_EQ(encode.size(), 1U);
    EXPECT_EQ(encode.front().at("tiles").integer(0, 100), 4);
    EXPECT_EQ(encode.front().at("exchanges").elements().front().at("collective").string(),
              "scatter");
    std::vector<std::int64_t> tiles;
    for (auto const& rank : root.at("by_rank").elements()) {
        EXPECT_GT(rank.at("vision_bytes").integer(0, 1 << 30), 0);
        EXPECT_GT(rank.at("feature_bytes").integer(0, 1 << 30), 0);
        auto const pictures =
            static_cast<std::size_t>(rank.at("picture_bytes").integer(0, 1 << 30));
        EXPECT_EQ(pictures, tiles.empty() ? model::picture_bytes(*config.vision, 4) : 0);
        EXPECT_FALSE(rank.find("sequences"));
        tiles.push_back(rank.at("tiles").integer(0, 100));
    }
    EXPECT_THAT(tiles, ElementsAre(2, 1, 1));
}

TEST(PlanReport, CountsSequencesOnlyWhereTheyAreDealtOut) {
    auto const dealt = report("split-batch-attention", 3);
    std::vector<std::int64_t> sequences;
    for (auto const& rank : dealt.root().at("by_rank").elements()) {
        sequences.push_back(rank.at("sequences").integer(0, 100));
    }
    EXPECT_THAT(sequences, ElementsAre(2, 2, 1));
    auto const shard = report("shard", 3);
    EXPECT_FALSE(shard.root().at("by_rank").elements().front().find("sequences"));
}

}  // namespace
}  // namespace tesserank::io
