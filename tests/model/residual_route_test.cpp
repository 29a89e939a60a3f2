#include "model/residual_route.hpp"

#include "model/placement_rules.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using parallel::LayoutKind;
using test::tiny_decoder;

PlacementPlan settled(std::string_view wish, CollectiveCost const& cost = assumed_collective_cost) {
    auto const modules = describe_modules(tiny_decoder());
    auto plan = make_plan(modules, wish, 3);
    settle_streams(plan, modules, DType::f32, cost);
    return plan;
}

std::string streams(PlacementPlan const& plan) {
    std::string text;
    for (auto const* name :
         {"layers.0.attention", "layers.0.mlp", "layers.1.attention", "layers.1.mlp"}) {
        text += (text.empty() ? "" : " ") + name_of(plan.stream_of(name));
    }
    return text;
}

TEST(SettleStreams, KeepsAStreamThatNobodyNeedsElsewhere) {
    EXPECT_EQ(streams(settled("shard")), "Replicated Replicated Replicated Replicated");
    EXPECT_EQ(streams(settled("replicate")), "Replicated Replicated Replicated Replicated");
    EXPECT_EQ(streams(settled("split-batch")),
              "BatchSharded BatchSharded BatchSharded BatchSharded");
    EXPECT_EQ(streams(settled("*=single:2")), "OnRank(2) OnRank(2) OnRank(2) OnRank(2)");
}

// Reduce-scatter and all-gather instead of all-reduce and slice.
TEST(SettleStreams, ScattersSumsBetweenModulesThatSplitTheBatch) {
    EXPECT_EQ(streams(settled("*.attention=split-batch,lm_head=split-batch")),
              "BatchSharded BatchSharded BatchSharded BatchSharded");
}

TEST(SettleStreams, FollowsAPipelineFromRankToRank) {
    EXPECT_EQ(streams(settled("layers.0.*=single:0,layers.1.*=single:1")),
              "OnRank(0) OnRank(0) OnRank(1) OnRank(1)");
}

/// Of the vision encoder under a plan for both parts.
std::string vision_streams(std::string_view wish) {
    auto const modules = describe_modules(test::vision_decoder());
    auto plan = make_plan(modules, wish, 3);
    settle_streams(plan, modules, DType::f32);
    std::string text;
    for (auto const& module : describe_vision(test::vision_decoder())) {
        if (!module.has_stream()) continue;
        text += (text.empty() ? "" : " ") + name_of(plan.stream_of(module.name));
    }
    EXPECT_EQ(plan.streams.size(), 2U * (3 + 4)) << "of both parts";
    return text;
}

TEST(SettleStreams, HasAStreamOfItsOwnForTheEncoder) {
    std::string const replicated =
        "Replicated Replicated Replicated Replicated Replicated Replicated";
    EXPECT_EQ(vision_streams("shard"), replicated);
    EXPECT_EQ(vision_streams("layers.*=split-batch"), replicated);
    EXPECT_EQ(vision_streams("vision.*=split-batch"),
              "BatchSharded BatchSharded BatchSharded BatchSharded BatchSharded BatchSharded");
    EXPECT_EQ(vision_streams("vision.*=single:1"),
              "OnRank(1) OnRank(1) OnRank(1) OnRank(1) OnRank(1) OnRank(1)");
}

// What the patch embedding gives by column comes to all before it is dealt out by tile.
TEST(SettleStreams, DealsTilesOutBehindAPatchEmbeddingThatIsCut) {
    EXPECT_EQ(vision_streams("vision.layers.*=split-batch,vision.projector=split-batch"),
              "BatchSharded BatchSharded BatchSharded BatchSharded BatchSharded BatchSharded");
}

TEST(SettleStreams, MinimisesTheGivenCost) {
    // Where a broadcast is far dearer than anything else, the stream must not leave its rank for
    // every sharded MLP ... but no other way leads to Replicated: it is paid once, not four times.
    auto const dear_broadcast = [](Collective kind, DType) {
        return kind == Collective::broadcast ? 1000.0 : 1.0;
    };
    auto const plan = settled("embedding=single:0,lm_head=replicate", dear_broadcast);
    EXPECT_EQ(streams(plan), "Replicated Replicated Replicated Replicated");
}

TEST(AssumedCost, CountsTheStartAndTheBytes) {
    double const all_reduce = assumed_collective_cost(Collective::all_reduce, DType::f32);
    double const gather = assumed_collective_cost(Collective::all_gather, DType::f32);
    EXPECT_GT(all_reduce, gather);
    EXPECT_LT(all_reduce, 2 * gather) << "two collectives are dearer than one that moves as much";
    EXPECT_GT(gather, assumed_collective_cost(Collective::all_gather, DType::bf16));
}

}  // namespace
}  // namespace tesserank::model
