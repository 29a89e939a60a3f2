#include "model/placement_rules.hpp"

#include "tests/model/support_config.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::model {
namespace {

using test::input_error_of;
using test::tiny_decoder;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<ModuleSpec> modules() { return describe_modules(tiny_decoder()); }

std::string refusal(std::string_view wish, int ranks = 3) {
    return input_error_of([&] { make_plan(modules(), wish, ranks); });
}

TEST(MakePlan, GivesEveryModuleThePlacementOfItsPreset) {
    struct Case {
        char const* preset;
        Placement attention, others;
    };
    for (auto const& [preset, attention, others] :
         {Case{"shard", Placement::shard, Placement::shard},
          Case{"replicate", Placement::replicate, Placement::replicate},
          Case{"split-batch", Placement::split_batch, Placement::split_batch},
          Case{"replicate-attention", Placement::replicate, Placement::shard},
          Case{"split-batch-attention", Placement::split_batch, Placement::shard}}) {
        auto const plan = make_plan(modules(), preset, 3);
        EXPECT_EQ(plan.ranks, 3);
        EXPECT_EQ(plan.placements.size(), modules().size());
        for (auto const& module : modules()) {
            auto const wanted = module.kind == ModuleKind::norm        ? Placement::replicate
                                : module.kind == ModuleKind::attention ? attention
                                                                       : others;
            EXPECT_EQ(plan.of(module.name), wanted) << preset << " " << module.name;
        }
    }
}

TEST(MakePlan, LetsLaterRulesWinAndShardsTheRest) {
    auto const plan = make_plan(
        modules(), "*.attention=replicate, layers.1.*=single:2 ,lm_head = split-batch", 3);
    EXPECT_EQ(plan.of("layers.0.attention"), Placement::replicate);
    EXPECT_EQ(plan.of("layers.1.attention"), Placement::single(2));
    EXPECT_EQ(plan.of("layers.1.mlp"), Placement::single(2));
    EXPECT_EQ(plan.of("layers.0.mlp"), Placement::shard);
    EXPECT_EQ(plan.of("embedding"), Placement::shard);
    EXPECT_EQ(plan.of("lm_head"), Placement::split_batch);
    EXPECT_EQ(plan.of("layers.1.mlp_norm"), Placement::replicate) << "norms always are";
}

TEST(MakePlan, PlacesEverythingAlikeOnOneRank) {
    for (auto const* wish : {"shard", "split-batch", "*=single:0"}) {
        for (auto const& [name, placement] : make_plan(modules(), wish, 1).placements) {
            EXPECT_EQ(placement, Placement::replicate) << wish << " " << name;
        }
    }
}

TEST(MakePlan, NamesTheNearestModulesWhenAPatternMatchesNone) {
    EXPECT_THAT(refusal("layer.0.attention=shard"),
                AllOf(HasSubstr("\"layer.0.attention\""), HasSubstr("layers.0.attention")));
    EXPECT_THAT(refusal("lm-head=shard"), HasSubstr("nearest names are lm_head"));
    EXPECT_THAT(refusal("layers.7.*=shard"), HasSubstr("matches no module"));
}

TEST(MakePlan, SaysThatNormsHaveNoChoice) {
    EXPECT_THAT(refusal("*_norm=shard"), HasSubstr("always replicated"));
}

TEST(MakePlan, NamesAWrongPlacementOrRank) {
    EXPECT_THAT(refusal("*.mlp=sharded"),
                AllOf(HasSubstr("\"sharded\""), HasSubstr("split-batch")));
    EXPECT_THAT(refusal("*.mlp=single:3"), AllOf(HasSubstr("no rank 3"), HasSubstr("3 rank(s)")));
    for (auto const* word : {"single:", "single:-1", "single:x", "single:1x", "single"}) {
        EXPECT_THAT(refusal("*.mlp=" + std::string(word)), HasSubstr("is no placement")) << word;
    }
}

TEST(MakePlan, ListsThePresetsForAnUnknownWord) {
    for (auto const* wish : {"Shard", "", "shard,*.mlp=replicate"}) {
        EXPECT_THAT(refusal(wish), HasSubstr("split-batch-attention")) << wish;
    }
}

TEST(MakePlan, PlacesTheEncoderAndTheTextModelApart) {
    auto const both = describe_modules(test::vision_decoder());
    auto const preset = make_plan(both, "replicate-attention", 3);
    EXPECT_EQ(preset.of("vision.layers.1.attention"), Placement::replicate);
    EXPECT_EQ(preset.of("vision.layers.1.mlp"), Placement::shard);
    EXPECT_EQ(preset.of("vision.embedding"), Placement::shard);
    EXPECT_EQ(preset.of("layers.1.attention"), Placement::replicate);
    auto const rules = make_plan(both, "vision.*=split-batch,vision.projector=single:2", 3);
    EXPECT_EQ(rules.of("vision.embedding"), Placement::split_batch);
    EXPECT_EQ(rules.of("vision.layers.0.mlp_norm"), Placement::replicate);
    EXPECT_EQ(rules.of("vision.projector"), Placement::single(2));
    EXPECT_EQ(rules.of("embedding"), Placement::shard);
}

// Tiles and sequences are two batches.
TEST(MakePlan, DealsOutTilesWithoutSequencesAndTheOtherWayRound) {
    auto const both = describe_modules(test::vision_decoder());
    auto const tiles = make_plan(both, "vision.*=split-batch", 3);
    EXPECT_TRUE(tiles.deals_tiles());
    EXPECT_FALSE(tiles.deals_sequences());
    EXPECT_EQ(tiles.owners(), 1);
    auto const sequences = make_plan(both, "layers.*.attention=split-batch", 3);
    EXPECT_FALSE(sequences.deals_tiles());
    EXPECT_TRUE(sequences.deals_sequences());
    auto const neither = make_plan(both, "shard", 3);
    EXPECT_FALSE(neither.deals_tiles());
    EXPECT_FALSE(neither.deals_sequences());
}

TEST(WishFor, MakesThePlanOfAnEncoderAgain) {
    auto const both = describe_modules(test::vision_decoder());
    for (auto const* wish : {"vision.*=split-batch", "*.attention=split-batch",
                             "vision.layers.0.*=single:0,layers.0.*=single:1"}) {
        auto const plan = make_plan(both, wish, 3);
        auto const again = wish_for(plan, both);
        EXPECT_EQ(make_plan(both, again, 3).placements, plan.placements) << again;
    }
}

TEST(WishFor, MakesThePlanAgain) {
    auto const modules = describe_modules(test::tiny_decoder());
    for (auto const* wish :
         {"shard", "replicate", "split-batch-attention", "*=single:1",
          "*.attention=replicate,layers.1.attention=single:2,lm_head=split-batch",
          "layers.0.*=single:0,layers.1.*=single:1,embedding=single:0,lm_head=single:1"}) {
        auto const plan = make_plan(modules, wish, 3);
        auto const again = wish_for(plan, modules);
        EXPECT_EQ(make_plan(modules, again, 3).placements, plan.placements) << again;
    }
}

TEST(WishFor, IsShort) {
    auto const modules = describe_modules(test::tiny_decoder());
    EXPECT_EQ(wish_for(make_plan(modules, "*.attention=replicate", 3), modules),
              "replicate-attention");
    EXPECT_EQ(wish_for(make_plan(modules, "lm_head=single:2,layers.1.mlp=replicate", 3), modules),
              "embedding=shard,*.attention=shard,*.mlp=shard,layers.1.mlp=replicate,"
              "lm_head=single:2");
}

}  // namespace
}  // namespace tesserank::model
