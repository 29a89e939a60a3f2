#include "model/planner.hpp"

#include "model/placement_rules.hpp"
#include "model/rated_machine.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;

DecoderConfig wide_decoder() {
    auto config = test::tiny_decoder();
    config.vocabulary = 8192;
    config.hidden = 768;
    config.intermediate = 3072;
    config.layers = 4;
    config.query_heads = 12;
    config.kv_heads = 4;
    config.head_dim = 64;
    config.context = 4096;
    config.windows.assign(config.layers, 0);
    return config;
}

DTypeOf const in_bf16 = [](std::string_view) { return DType::bf16; };

/// What a search is asked, with all that it refers to.
struct Question {
    DecoderConfig config = wide_decoder();
    TransformerOptions options;
    Workload workload{.batch = 1, .prompt = 16, .new_tokens = 64};
    MachineRates rates{.latency = 2e-6};
    std::optional<std::size_t> bytes_per_rank = {};

    std::vector<RankedPlan> best(std::size_t count = 5) const {
        auto const machine = rated_machine(rates);
        return best_plans(
            {{config, options, in_bf16, rates.ranks}, workload, machine, bytes_per_rank}, count);
    }
    std::string wish() const { return wish_for(best(1).front().plan, describe_modules(config)); }
};

std::size_t collectives_of(Question const& question, PlacementPlan const& plan) {
    auto const facts =
        facts_of(question.config, plan, question.options, question.workload, in_bf16);
    std::size_t count = 0;
    for (auto const& steps : {facts.prefill, facts.decode}) {
        for (auto const& step : steps) count += step.count * step.exchanges.size();
    }
    return count;
}

TEST(Planner, ShardsOnAFastLinkWhenReadingWeightsIsTheLimit) {
    auto const plan = Question().best(1).front().plan;
    EXPECT_EQ(plan.of("layers.1.attention"), Placement::shard);
    EXPECT_EQ(plan.of("layers.1.mlp"), Placement::shard);
}

TEST(Planner, SaysThatPlainShardingIsBest) {
    Question question;
    question.rates.latency = 1e-9;
    question.rates.link = 1e13;
    EXPECT_EQ(question.wish(), "shard");
}

TEST(Planner, TakesLessMemoryWhereTheTimeIsTheSame) {
    // Looking up a token costs next to nothing, wherever its table lies.
    Question question;
    question.rates.latency = 1e-9;
    question.rates.link = 1e13;
    EXPECT_EQ(question.best(1).front().plan.of("embedding"), Placement::shard);
}

TEST(Planner, SendsNothingInTheModelOnASlowLink) {
    Question question;
    question.rates.latency = 20e-3;
    auto const best = question.best(1).front();
    EXPECT_EQ(best.plan.of("layers.2.attention"), Placement::replicate);
    EXPECT_EQ(best.plan.of("layers.2.mlp"), Placement::replicate);
}

TEST(Planner, SplitsTheBatchOfLongPromptsOnASlowLink) {
    Question question;
    question.workload = {.batch = 8, .prompt = 512, .new_tokens = 1};
    question.rates.latency = 1e-3;
    question.rates.link = 1e8;
    EXPECT_EQ(question.best(1).front().plan.of("layers.1.mlp"), Placement::split_batch);
}

TEST(Planner, FindsPartialTensorParallelism) {
    // An exchange costs more than half an attention block, and less than half an MLP.
    Question question;
    question.rates.latency = 300e-6;
    auto const wish = question.wish();
    EXPECT_NE(wish.find("*.attention=replicate"), std::string::npos) << wish;
    EXPECT_NE(wish.find("*.mlp=shard"), std::string::npos) << wish;
}

TEST(Planner, MovesToFewerCollectivesAsTheyBecomeDearer) {
    Question question;
    std::size_t last = 1000000;
    for (double const latency : {1e-6, 300e-6, 20e-3}) {
        question.rates.latency = latency;
        std::size_t const count = collectives_of(question, question.best(1).front().plan);
        EXPECT_LT(count, last) << latency;
        last = count;
    }
}

TEST(Planner, KeepsToTheMemory) {
    Question question;
    question.rates.latency = 20e-3;
    auto const free = question.best(1).front();
    auto const modules = describe_modules(question.config);
    auto sharded = make_plan(modules, "shard", 2);
    settle_streams(sharded, modules, DType::f32);
    auto const ranks =
        memory_of(question.config, sharded, question.options, question.workload, in_bf16);
    std::size_t const least = ranks[0].total();
    ASSERT_LT(least, free.most_bytes);
    for (int tenths = 1; tenths < 10; ++tenths) {
        std::size_t const limit =
            least + (free.most_bytes - least) * static_cast<std::size_t>(tenths) / 10;
        question.bytes_per_rank = limit;
        auto const best = question.best(5);
        ASSERT_FALSE(best.empty()) << tenths;
        for (auto const& entry : best) EXPECT_LE(entry.most_bytes, limit) << tenths;
        EXPECT_GE(best.front().seconds(), free.seconds()) << tenths;
    }
    question.bytes_per_rank = least / 2;
    EXPECT_TRUE(question.best(5).empty());
}

TEST(Planner, MixesPlacementsInsteadOfShardingAllLayersWhenTheMemoryIsShort) {
    // The first layers may be whole as far as there is room: better than all layers alike.
    Question question;
    question.config.layers = 12;
    question.config.windows.assign(12, 0);
    question.rates.latency = 2e-3;
    auto const free = question.best(1).front();
    question.bytes_per_rank = free.most_bytes * 7 / 10;
    auto const best = question.best(5);
    ASSERT_GE(best.size(), 2U);
    EXPECT_LT(best[0].seconds(), best[1].seconds());
    std::set<std::string> mlps;
    for (std::size_t layer = 0; layer < 12; ++layer) {
        mlps.insert(name_of(best[0].plan.of(layer_module(layer, "mlp"))) +
                    name_of(best[0].plan.of(layer_module(layer, "attention"))));
    }
    EXPECT_GT(mlps.size(), 1U) << wish_for(best[0].plan, describe_modules(question.config));
}

TEST(Planner, CountsATiedTableOnceForBothItsEnds) {
    // A table as large as the rest: a rank that has the whole lm_head has the whole embedding.
    Question question;
    question.config.tied_embeddings = true;
    question.config.vocabulary = 40000;
    question.rates.latency = 2e-3;
    auto const free = question.best(1).front();
    for (int tenths = 4; tenths < 10; ++tenths) {
        std::size_t const limit = free.most_bytes * static_cast<std::size_t>(tenths) / 10;
        question.bytes_per_rank = limit;
        for (auto const& entry : question.best(5)) EXPECT_LE(entry.most_bytes, limit) << tenths;
    }
    question.bytes_per_rank = free.most_bytes * 7 / 10;
    EXPECT_FALSE(question.best(5).empty());
}

TEST(Planner, RanksDifferentPlansByTheirPredictedTime) {
    auto const best = Question().best(5);
    ASSERT_EQ(best.size(), 5U);
    for (std::size_t i = 1; i < best.size(); ++i) {
        double const noise = i == 1 ? 1.01 : 1.0;
        EXPECT_LE(best[i - 1].seconds(), noise * best[i].seconds());
        for (std::size_t j = 0; j < i; ++j) {
            EXPECT_NE(best[i].plan.placements, best[j].plan.placements);
        }
    }
}

TEST(Planner, RunsOnAnyRankCount) {
    for (int const ranks : {1, 3, 5, 7, 8, 13}) {
        Question question;
        question.rates.ranks = ranks;
        auto const best = question.best(5);
        ASSERT_FALSE(best.empty()) << ranks;
        EXPECT_EQ(best.front().plan.ranks, ranks);
        EXPECT_GT(best.front().seconds(), 0.0);
        EXPECT_EQ(best.size(), ranks == 1 ? 1U : 5U);
    }
}

TEST(Planner, GivesTheSamePlansEachTime) {
    auto const one = Question().best(5), other = Question().best(5);
    ASSERT_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].plan.placements, other[i].plan.placements);
        EXPECT_EQ(one[i].plan.streams, other[i].plan.streams);
    }
}

TEST(FittingPresets, AreThoseWithinTheLimit) {
    Question const question;
    PlannedWork const model{question.config, question.options, in_bf16, 2};
    EXPECT_EQ(fitting_presets(model, question.workload, std::size_t{1} << 40).size(),
              presets().size());
    EXPECT_TRUE(fitting_presets(model, question.workload, 1000).empty());
    auto const modules = describe_modules(question.config);
    auto plan = make_plan(modules, "shard", 2);
    settle_streams(plan, modules, DType::f32);
    auto const bytes =
        memory_of(question.config, plan, question.options, question.workload, in_bf16)[0].total();
    auto const fitting = fitting_presets(model, question.workload, bytes);
    ASSERT_FALSE(fitting.empty());
    EXPECT_EQ(fitting.front(), "shard");
    EXPECT_LT(fitting.size(), presets().size());
}

/// The decoder above behind an encoder of 24 columns a head, with 7 tiles in each prompt.
Question question_with_pictures() {
    Question question;
    question.config.vision = test::vision_decoder().vision;
    auto& vision = *question.config.vision;
    vision.hidden = 600;
    vision.heads = 25;
    vision.head_dim = 24;
    vision.intermediate = 2400;
    vision.patch = 14;
    vision.side = vision.table_side = 224;
    vision.features = question.config.hidden;
    question.workload = {.batch = 2, .prompt = 460, .new_tokens = 16, .tiles = 7};
    return question;
}

TEST(VisionPlanner, DealsTilesOutOnASlowLink) {
    auto question = question_with_pictures();
    question.rates.latency = 1e-3;
    question.rates.link = 1e8;
    auto const best = question.best(1).front();
    for (auto const* name : {"vision.layers.0.attention", "vision.layers.2.mlp"}) {
        EXPECT_EQ(best.plan.of(name), Placement::split_batch) << name;
    }
    EXPECT_TRUE(best.plan.deals_tiles());
    EXPECT_GT(best.encode.work, 0.0);
    EXPECT_NEAR(best.seconds(), best.encode.total() + best.prefill.total() + best.decode.total(),
                1e-12);
}

// Both parts share a rank's memory; which plan each has does not change the other's time.
TEST(VisionPlanner, LeadsWithWhatIsFastestOfBothPartsThatFit) {
    auto question = question_with_pictures();
    question.rates.latency = 1e-3;
    question.rates.link = 1e8;
    auto const free = question.best(1).front();
    question.bytes_per_rank = free.most_bytes - 1;
    auto const bound = question.best(1).front();
    EXPECT_LE(bound.most_bytes, *question.bytes_per_rank);
    EXPECT_GE(bound.seconds(), free.seconds() / 1.01);
    auto const memory =
        memory_of(question.config, bound.plan, question.options, question.workload, in_bf16);
    EXPECT_EQ(std::ranges::max(memory, {}, &RankFacts::total).total(), bound.most_bytes);
    question.bytes_per_rank = 1;
    EXPECT_TRUE(question.best(1).empty());
}

TEST(VisionPlanner, GivesWholePlansInTheOrderOfTime) {
    auto const question = question_with_pictures();
    auto const modules = describe_modules(question.config);
    auto const best = question.best();
    ASSERT_GT(best.size(), 1U);
    for (auto const& ranked : best) {
        EXPECT_EQ(ranked.plan.placements.size(), modules.size());
        for (auto const& module : modules) {
            EXPECT_EQ(ranked.plan.streams.contains(module.name), module.has_stream());
        }
    }
    for (std::size_t i = 2; i < best.size(); ++i) {
        EXPECT_LE(best[i - 1].seconds(), best[i].seconds());
    }
}

}  // namespace
}  // namespace tesserank::model
