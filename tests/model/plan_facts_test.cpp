#include "model/plan_facts.hpp"

#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "model/vision/vision_plan.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace tesserank::model {
namespace {

using kernels::DType;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int ranks = 3;
DTypeOf const in_f32 = [](std::string_view) { return DType::f32; };

PlacementPlan plan_for(DecoderConfig const& config, std::string_view wish) {
    auto const modules = describe_modules(config);
    auto plan = make_plan(modules, wish, ranks);
    settle_streams(plan, modules, DType::f32);
    return plan;
}

PlanFacts facts(std::string_view wish, Workload const& workload,
                TransformerOptions const& options = {}) {
    auto const config = test::vision_decoder();
    return facts_of(config, plan_for(config, wish), options, workload, in_f32);
}

TEST(RankFacts, CountWhatIsThereAtTheSameTime) {
    RankFacts const loading{
        .weight_bytes = 100, .load_bytes = 50, .cache_bytes = 20, .forward_bytes = 7};
    EXPECT_EQ(loading.total(), 100U + 50 + 7);
    RankFacts kept{.weight_bytes = 100,
                   .load_bytes = 5,
                   .cache_bytes = 20,
                   .forward_bytes = 7,
                   .vision_bytes = 30,
                   .feature_bytes = 3,
                   .picture_bytes = 2};
    EXPECT_EQ(kept.total(), 100U + 20 + 7 + 30 + 3 + 2);
    // Of an encoder that is not kept: 40 of weights and its workspace.
    kept.released_bytes = 70;
    EXPECT_EQ(kept.total(), 60U + 7 + (70 + 5)) << "loading takes more than all that follows";
    kept.reload_bytes = 4;
    EXPECT_EQ(kept.total(), 60U + 7 + (3 + 2) + (70 + 4)) << "encoding takes more than the cache";
    kept.cache_bytes = 200;
    EXPECT_EQ(kept.total(), 60U + 7 + (3 + 2) + 200);
}

TEST(PlanFacts, SayWhatTheEncoderTakes) {
    auto const config = test::vision_decoder();
    auto const found = facts("replicate", {.batch = 3, .prompt = 20, .tiles = 2});
    std::size_t vision = 0;
    for (auto const& module : found.modules) {
        if (is_vision(module.name)) vision += module.weight_bytes[1];
    }
    auto const& rank = found.ranks[1];
    EXPECT_GT(vision, 0U);
    EXPECT_LT(vision, rank.weight_bytes);
    EXPECT_EQ(rank.feature_bytes, 3U * 2 * 4 * config.hidden * sizeof(float));
    EXPECT_EQ(rank.vision_bytes,
              vision_memory(config, found.plan, TransformerOptions(), 1).bytes());
    EXPECT_EQ(rank.released_bytes, 0U);
    TransformerOptions released;
    released.vision.keep = false;
    auto const& other = facts("replicate", {.batch = 3, .prompt = 20, .tiles = 2}, released).ranks;
    EXPECT_EQ(other[1].released_bytes, vision + rank.vision_bytes);
    EXPECT_EQ(other[1].reload_bytes, 0U);
    released.weights = WeightFormat::fp8;
    auto const& scaled = facts("replicate", {.batch = 3, .prompt = 20, .tiles = 2}, released).ranks;
    EXPECT_GT(scaled[1].reload_bytes, 0U);
    EXPECT_LT(scaled[1].reload_bytes, scaled[1].load_bytes)
        << "the text model's is not needed again";
}

TEST(PlanFacts, CountDecodedPicturesOnRank0OfAHost) {
    auto const config = test::vision_decoder();
    std::size_t const tile = 3 * config.vision->side * config.vision->side;
    TransformerOptions options;
    auto const on_host = facts("shard", {.batch = 3, .prompt = 20, .tiles = 2}, options);
    EXPECT_EQ(on_host.ranks[0].picture_bytes, 6 * tile + tile * sizeof(float));
    EXPECT_EQ(on_host.ranks[1].picture_bytes, 0U);
    EXPECT_EQ(facts("shard", {.batch = 3, .prompt = 20}, options).ranks[0].picture_bytes, 0U);
    options.on_host = false;
    auto const on_gpu = facts("shard", {.batch = 3, .prompt = 20, .tiles = 2}, options);
    EXPECT_EQ(on_gpu.ranks[0].picture_bytes, 0U);
    EXPECT_THAT(on_gpu.notes, Contains(HasSubstr(std::to_string(10 * tile) + " bytes")));
}

TEST(PlanFacts, SayWhatEncodingSends) {
    auto const config = test::vision_decoder();
    TransformerOptions options;
    options.vision.max_tiles = 4;
    auto const found = facts("shard", {.batch = 3, .prompt = 20, .tiles = 3}, options);
    ASSERT_EQ(found.encode.size(), 2U) << "9 tiles are 4, 4 and 1";
    EXPECT_EQ(found.encode[0].tiles, 4U);
    EXPECT_EQ(found.encode[0].count, 2U);
    EXPECT_EQ(found.encode[0].exchanges.size(),
              exchanges_of_tiles(config, found.plan, options, 4).size());
    EXPECT_EQ(found.encode[1].tiles, 1U);
    EXPECT_TRUE(facts("shard", {.batch = 3, .prompt = 20}).encode.empty());
}

TEST(PlanFacts, ThePartsOfTheMemoryAddUp) {
    auto const config = test::vision_decoder();
    auto const plan = plan_for(config, "vision.*=single:1");
    Workload const workload{.batch = 2, .prompt = 20, .tiles = 1};
    auto text = text_memory_of(config, plan, {}, workload, in_f32);
    auto const vision = vision_memory_of(config, plan, {}, workload, in_f32);
    EXPECT_LT(vision[0].weight_bytes, vision[1].weight_bytes) << "which has the encoder";
    for (std::size_t rank = 0; rank < text.size(); ++rank) text[rank] += vision[rank];
    EXPECT_EQ(text, memory_of(config, plan, {}, workload, in_f32));
}

TEST(PlanFacts, NoteRanksWithoutTiles) {
    EXPECT_THAT(facts("vision.*=split-batch", {.batch = 1, .prompt = 20, .tiles = 2}).notes,
                Contains(HasSubstr("tiles is 2 leaves 1 rank(s) without a tile")));
}

}  // namespace
}  // namespace tesserank::model
