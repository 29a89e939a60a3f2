#include "io/plan_file.hpp"

#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_config.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace tesserank::io {
namespace {

using model::PlacementPlan;
using test::input_error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<model::ModuleSpec> modules() { return describe_modules(test::tiny_decoder()); }

PlacementPlan mixed_plan() {
    auto plan = model::make_plan(
        modules(), "*.attention=split-batch,layers.1.mlp=single:2,lm_head=replicate", 3);
    settle_streams(plan, modules(), kernels::DType::f32);
    return plan;
}

/// The text of a good plan with one piece replaced.
std::string spoiled(std::string const& piece, std::string const& by) {
    auto text = plan_text(mixed_plan(), modules());
    auto const at = text.find(piece);
    EXPECT_NE(at, std::string::npos) << piece;
    return text.replace(at, piece.size(), by);
}

std::string refusal(std::string const& text, int ranks = 3) {
    return input_error_of([&] { parse_plan(text, "p.json", modules(), ranks); });
}

TEST(PlanFile, GivesBackThePlanThatWasWritten) {
    auto const plan = mixed_plan();
    auto const read = parse_plan(plan_text(plan, modules()), "p.json", modules(), 3);
    EXPECT_EQ(read.ranks, 3);
    EXPECT_EQ(read.placements, plan.placements);
    EXPECT_EQ(read.streams, plan.streams);
}

TEST(PlanFile, MayLeaveTheStreamsToTheProgram) {
    auto text = plan_text(mixed_plan(), modules());
    for (auto at = text.find(", \"stream\""); at != std::string::npos;
         at = text.find(", \"stream\"")) {
        text.erase(at, text.find('}', at) - at);
    }
    auto const read = parse_plan(text, "p.json", modules(), 3);
    EXPECT_EQ(read.placements, mixed_plan().placements);
    EXPECT_TRUE(read.streams.empty());
}

TEST(PlanFile, IsRefusedWithTheModuleAndWhatIsWrong) {
    EXPECT_THAT(
        refusal(spoiled("\"split-batch\"", "\"split\"")),
        AllOf(HasSubstr("p.json"), HasSubstr("layers.0.attention"), HasSubstr("split-batch")));
    EXPECT_THAT(refusal(spoiled("single:2", "single:3")),
                AllOf(HasSubstr("layers.1.mlp"), HasSubstr("no rank 3")));
    EXPECT_THAT(refusal(spoiled("\"layers.1.mlp\"", "\"layers.2.mlp\"")),
                HasSubstr("layers.1.mlp"));
    EXPECT_THAT(refusal(spoiled("{\n\"embedding\"", "{\"extra\": {},\n\"embedding\"")),
                AllOf(HasSubstr("extra"), HasSubstr("no such module")));
    EXPECT_THAT(refusal(spoiled("{\n\"embedding\"", "{\"norm\": {},\n\"embedding\"")),
                HasSubstr("always replicated"));
    EXPECT_THAT(refusal(spoiled("\"BatchSharded\"", "\"Partial\"")), HasSubstr("OnRank(RANK)"));
    EXPECT_THAT(refusal(spoiled("tesserank-plan", "tesserank")), HasSubstr("tesserank-plan"));
    EXPECT_THAT(refusal(spoiled("\"format_version\": 1", "\"format_version\": 2")),
                HasSubstr("format_version"));
    EXPECT_THAT(refusal("{"), HasSubstr("p.json"));
}

TEST(PlanFile, IsForOneNumberOfRanks) {
    EXPECT_THAT(refusal(plan_text(mixed_plan(), modules()), 4),
                AllOf(HasSubstr("ranks"), HasSubstr("3"), HasSubstr("4")));
}

TEST(PlanFile, HasAllStreamsOrNone) {
    EXPECT_THAT(refusal(spoiled(", \"stream\": \"BatchSharded\"", "")), HasSubstr("stream"));
}

}  // namespace
}  // namespace tesserank::io
