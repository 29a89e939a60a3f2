#include "model/predictor.hpp"

#include "model/placement_rules.hpp"
#include "model/rated_machine.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tesserank::model {
namespace {

using kernels::DType;
using Phase = Step::Phase;

DTypeOf const in_bf16 = [](std::string_view) { return DType::bf16; };

class PredictorTest : public ::testing::Test {
  protected:
    PhaseTimes times(std::string_view wish, Phase phase) const {
        auto const modules = describe_modules(config_);
        auto plan = make_plan(modules, wish, rates_.ranks);
        settle_streams(plan, modules, options_.compute);
        auto const machine = rated_machine(rates_);
        return Predictor(machine, {config_, options_, in_bf16, rates_.ranks}, workload_)
            .times_of(plan, phase);
    }

    DecoderConfig config_ = [] {
        auto config = test::tiny_decoder();
        config.hidden = 512;
        config.intermediate = 2048;
        config.vocabulary = 4096;
        config.query_heads = 8;
        config.kv_heads = 8;
        config.head_dim = 64;
        config.context = 100000;
        return config;
    }();
    TransformerOptions options_;
    Workload workload_{.batch = 2, .prompt = 64, .new_tokens = 11};
    MachineRates rates_{.latency = 2e-6};
};

TEST_F(PredictorTest, AddsUpTheExchangesOfAPlan) {
    // Replicated weights: what is sent is the choice of tokens alone, one broadcast a step.
    auto const decode = times("replicate", Phase::decode);
    EXPECT_EQ(decode.steps, 10U);
    EXPECT_NEAR(decode.cost.exchanges, 10 * rates_.latency, 1 * rates_.latency);
    // Sharded: besides, embedding, two in each of two layers, candidates.
    double const all_reduce = rates_.latency + 2.0 * 2 * 512 * 4 / rates_.link;
    auto const sharded = times("shard", Phase::decode);
    EXPECT_NEAR(sharded.cost.exchanges, 10 * (5 * all_reduce + 2 * rates_.latency),
                2 * rates_.latency);
}

/// Of encoding, with an encoder of three layers and tiles of 17 rows of 20 columns.
class EncodingTest : public ::testing::Test {
  protected:
    PhaseTimes times(std::string_view wish) const {
        auto const modules = describe_modules(config_);
        auto plan = make_plan(modules, wish, rates_.ranks);
        settle_streams(plan, modules, options_.compute);
        auto const machine = rated_machine(rates_);
        return Predictor(machine, {config_, options_, in_bf16, rates_.ranks}, workload_)
            .times_of_encoding(plan);
    }

    DecoderConfig config_ = test::vision_decoder();
    TransformerOptions options_;
    Workload workload_{.batch = 2, .prompt = 64, .new_tokens = 11, .tiles = 3};
    MachineRates rates_{.latency = 2e-3};
};

// Where starting a collective is all that costs: as many as the plan says.
TEST_F(EncodingTest, AddsUpTheExchangesOfAPlan) {
    options_.vision.max_tiles = 4;
    for (auto const* wish : {"shard", "vision.*=replicate", "vision.*=split-batch",
                             "vision.*=single:1", "vision.*.attention=replicate"}) {
        auto const modules = describe_modules(config_);
        auto plan = make_plan(modules, wish, rates_.ranks);
        settle_streams(plan, modules, options_.compute);
        auto const facts = facts_of(config_, plan, options_, workload_, in_bf16);
        std::size_t count = 0;
        for (auto const& step : facts.encode) count += step.count * step.exchanges.size();
        auto const encoding = times(wish);
        EXPECT_EQ(encoding.steps, 2U);
        EXPECT_NEAR(encoding.cost.exchanges, static_cast<double>(count) * rates_.latency,
                    0.05 * rates_.latency)
            << wish;
    }
}

TEST_F(EncodingTest, SharesTheWorkOfDealtTiles) {
    double const whole = times("vision.*=replicate").cost.work;
    EXPECT_NEAR(times("vision.*=split-batch").cost.work, whole / 2, 0.1 * whole);
    EXPECT_NEAR(times("vision.*=single:1").cost.work, whole, 0.1 * whole);
}

TEST_F(EncodingTest, HasNothingToSayWithoutTiles) {
    workload_.tiles = 0;
    EXPECT_EQ(times("shard").steps, 0U);
    EXPECT_EQ(times("shard").cost.total(), 0.0);
}

TEST_F(PredictorTest, HalvesTheWorkOfTwoRanks) {
    double const whole = times("replicate", Phase::decode).cost.work;
    double const half = times("shard", Phase::decode).cost.work;
    EXPECT_NEAR(half, whole / 2, 0.05 * whole);
}

TEST_F(PredictorTest, LetsARankThatWorksAloneBeFaster) {
    double const slow = times("*=single:1", Phase::decode).cost.work;
    rates_.alone = 2.0;
    EXPECT_NEAR(times("*=single:1", Phase::decode).cost.work, slow / 2, 0.01 * slow);
    // One sequence leaves one of two ranks without work.
    workload_.batch = 1;
    EXPECT_LT(times("split-batch", Phase::decode).cost.work,
              0.7 * times("replicate", Phase::decode).cost.work);
}

TEST_F(PredictorTest, NamesWhatLimitsAPhase) {
    EXPECT_EQ(times("replicate", Phase::decode).limit, "reading weights");
    rates_.memory = 1e12;
    EXPECT_EQ(times("replicate", Phase::prefill).limit, "arithmetic");
    rates_.latency = 1.0;
    EXPECT_EQ(times("shard", Phase::decode).limit, "the start of exchanges");
    rates_.latency = 1e-9;
    rates_.link = 1e3;
    EXPECT_EQ(times("shard", Phase::decode).limit, "the bytes of exchanges");
    rates_ = {.latency = 2e-6};
    rates_.memory = 1e12;
    workload_ = {.batch = 1, .prompt = 60000, .new_tokens = 2};
    EXPECT_EQ(times("replicate", Phase::decode).limit, "attention");
}

TEST_F(PredictorTest, HasNothingToSayOfAPhaseThatDoesNotRun) {
    workload_.new_tokens = 1;
    auto const decode = times("shard", Phase::decode);
    EXPECT_EQ(decode.steps, 0U);
    EXPECT_EQ(decode.cost.total(), 0.0);
    EXPECT_EQ(decode.limit, "nothing");
}

}  // namespace
}  // namespace tesserank::model
