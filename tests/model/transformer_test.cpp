#include "model/transformer.hpp"

#include "tests/model/support_naive.hpp"
#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/queued_world.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using test::Alone;
using test::LoadedModel;
using test::Rows;
using test::RunOptions;

/// Two prompts, the second one shorter than any chunk.
std::vector<ScoreRequest> prompts_of(DecoderConfig const& config) {
    auto const first = test::pseudo_tokens(config, 11, 1),
               second = test::pseudo_tokens(config, 2, 2);
    return {{"long", first, {}, {1}}, {"short", second, {}, {0}}};
}

class TransformerTest : public test::MpiTest {
  protected:
    /// Logits behind each token of a batch, on rank 0; nothing elsewhere.
    std::map<std::string, Rows> run(DecoderConfig const& config, PlacementPlan const& plan,
                                    RunOptions const& options) {
        LoadedModel model(config, plan, world, options);
        test::KeepLogits sink;
        auto const requests = test::on_rank_0(world, prompts_of(config));
        score(model.transformer, world, requests,
              {.eos_ids = {}, .text = nullptr, .logits = &sink});
        return sink.rows;
    }

    std::map<std::string, Rows> expected(DecoderConfig const& config,
                                         DType weights = DType::f32) const {
        std::map<std::string, Rows> logits;
        if (world.rank() != 0) return logits;
        Alone alone(config, weights);
        for (auto const& [id, prompt, pictures, completion] : prompts_of(config)) {
            auto tokens = prompt;
            tokens.push_back(completion.front());
            logits[id] = alone.logits(tokens);
        }
        return logits;
    }

    /// Presets and random mixtures, among them tied models whose two ends are placed differently.
    std::vector<std::pair<std::string, PlacementPlan>> plans(DecoderConfig const& config) const {
        std::vector<std::pair<std::string, PlacementPlan>> all;
        for (auto const* preset : {"shard", "replicate", "split-batch", "replicate-attention",
                                   "split-batch-attention", "*=single:0"}) {
            all.emplace_back(preset, test::preset_plan(config, preset, world.size()));
        }
        for (unsigned seed = 1; seed <= 6; ++seed) {
            all.emplace_back("mixed " + std::to_string(seed),
                             test::mixed_plan(config, world.size(), seed));
        }
        for (auto const* ends : {"lm_head=replicate", "embedding=replicate",
                                 "embedding=single:0,lm_head=split-batch"}) {
            all.emplace_back(ends, test::preset_plan(config, ends, world.size()));
        }
        return all;
    }

    static void expect_same(std::map<std::string, Rows> const& found,
                            std::map<std::string, Rows> const& wanted,
                            double tolerance = test::rounding_tolerance) {
        ASSERT_EQ(found.size(), wanted.size());
        for (auto const& [id, rows] : wanted) {
            SCOPED_TRACE(id);
            test::expect_close(found.at(id), rows, tolerance);
        }
    }
};

using Case = std::tuple<test::NamedDecoder, std::string>;

std::string name_of_case(::testing::TestParamInfo<Case> const& param) {
    return std::get<0>(param.param).name + "_" + std::get<1>(param.param);
}

class EveryPlacement : public TransformerTest, public ::testing::WithParamInterface<Case> {};

TEST_P(EveryPlacement, GivesTheLogitsOfOneRank) {
    auto const& [decoder, backend] = GetParam();
    auto const wanted = expected(decoder.config);
    for (auto const& [name, plan] : plans(decoder.config)) {
        SCOPED_TRACE(name);
        RunOptions const options{.backend = backend,
                                 .limits = {.max_rows = 5, .max_logit_rows = 4}};
        expect_same(run(decoder.config, plan, options), wanted);
    }
}

INSTANTIATE_TEST_SUITE_P(Decoders, EveryPlacement,
                         ::testing::Combine(::testing::ValuesIn(test::decoders()),
                                            ::testing::Values("reference", "kokkos")),
                         name_of_case);

/// The truth itself is checked against plain loops over the formulas.
class Naive : public TransformerTest, public ::testing::WithParamInterface<test::NamedDecoder> {};

TEST_P(Naive, ComputesTheSameLogits) {
    auto const& config = GetParam().config;
    if (world.rank() != 0 || config.rope.kind != RopeConfig::Kind::plain) return;
    Alone alone(config);
    auto const tokens = test::pseudo_tokens(config, 9, 3);
    test::expect_close(alone.logits(tokens),
                       test::NaiveDecoder(config, alone.weights()).logits(tokens));
}

INSTANTIATE_TEST_SUITE_P(Decoders, Naive, ::testing::ValuesIn(test::decoders()),
                         [](auto const& param) { return param.param.name; });

using Limits = std::pair<std::size_t, std::size_t>;

class Chunks : public TransformerTest, public ::testing::WithParamInterface<Limits> {};

TEST_P(Chunks, DoNotChangeTheLogits) {
    auto const config = test::decoder_with_everything();
    auto const [rows, logit_rows] = GetParam();
    RunOptions const options{.limits = {.max_rows = rows, .max_logit_rows = logit_rows}};
    expect_same(run(config, test::preset_plan(config, "shard", world.size()), options),
                expected(config));
}

INSTANTIATE_TEST_SUITE_P(Limits, Chunks,
                         ::testing::Values(Limits{1, 1}, Limits{3, 1}, Limits{3, 4}, Limits{512, 4},
                                           Limits{512, 64}));

TEST_F(TransformerTest, TakesWeightsOfAnyDtype) {
    auto const config = test::decoder_with_everything();
    for (auto const dtype : {DType::bf16, DType::f16}) {
        for (auto const* backend : {"reference", "kokkos"}) {
            SCOPED_TRACE(std::string(kernels::name_of(dtype)) + " " + backend);
            auto const plan = test::mixed_plan(config, world.size(), 5);
            expect_same(run(config, plan, {.backend = backend, .weights = dtype}),
                        expected(config, dtype));
        }
    }
}

// bf16 rounds to 2^-9 of a value. What GEMMs read and the cache holds is rounded about ten times on
// the way through two layers, and the errors add up like a random walk: 10 times that leaves room.
TEST_F(TransformerTest, ComputesInBf16NearlyTheSame) {
    auto const config = test::decoder_with_everything();
    for (auto const* backend : {"reference", "kokkos"}) {
        for (auto const* preset : {"shard", "replicate"}) {
            SCOPED_TRACE(std::string(backend) + " " + preset);
            auto const plan = test::preset_plan(config, preset, world.size());
            auto const found =
                run(config, plan, {.backend = backend, .limits = {.compute = DType::bf16}});
            expect_same(found, expected(config), 0.02);
        }
    }
}

TEST_F(TransformerTest, HoldsASharedTableOfATiedModelOnce) {
    auto config = test::tiny_decoder();
    auto const bytes = [&](PlacementPlan const& plan) {
        return LoadedModel(config, plan, world).transformer.weight_bytes();
    };
    auto const plan = test::preset_plan(config, "replicate", world.size());
    std::size_t const untied = bytes(plan);
    config.tied_embeddings = true;
    std::size_t const table = config.vocabulary * config.hidden * sizeof(float);
    EXPECT_EQ(bytes(plan), untied - table);
    auto const mixed = test::preset_plan(config, "*=replicate,lm_head=shard", world.size());
    EXPECT_EQ(bytes(mixed), untied - table) << "one of the two needs it whole";
}

TEST_F(TransformerTest, AcceptsAnLmHeadThatATiedModelDoesNotUse) {
    auto config = test::tiny_decoder();
    auto const backend = kernels::make_reference_backend();
    auto const plan = test::preset_plan(config, "shard", world.size());
    test::PseudoWeights source(test::tensors_of(config), world.rank());
    config.tied_embeddings = true;
    EXPECT_NO_THROW(Transformer(config, plan, *backend, world, source, {}));
}

TEST_F(TransformerTest, RefusesATensorThatItsConfigDoesNotAccountFor) {
    auto config = test::tiny_decoder();
    auto const backend = kernels::make_reference_backend();
    config.qkv_bias = true;
    test::PseudoWeights source(test::tensors_of(config), world.rank());
    config.qkv_bias = false;
    auto const plan = test::preset_plan(config, "shard", world.size());
    EXPECT_THROW(Transformer(config, plan, *backend, world, source, {}), kernels::InputError);
}

TEST_F(TransformerTest, CutsTheWeightsOverTheRanks) {
    auto const config = test::decoder_with_everything();
    auto const bytes = [&](char const* preset) {
        auto const plan = test::preset_plan(config, preset, world.size());
        return LoadedModel(config, plan, world).transformer.weight_bytes();
    };
    std::size_t const whole = bytes("replicate"), part = bytes("shard");
    if (world.size() == 1) {
        EXPECT_EQ(part, whole);
    } else {
        // Norms, shared kv heads and uneven cuts keep it from being a P-th.
        EXPECT_LT(static_cast<double>(part), 0.8 * static_cast<double>(whole));
    }
}

TEST_F(TransformerTest, WhatRanksExchangeIsRegisteredWhileTheModelLives) {
    test::QueuedWorld ranks(world);
    auto const config = test::decoder_with_everything();
    {
        LoadedModel const model(config, test::preset_plan(config, "shard", world.size()), ranks);
        EXPECT_GT(ranks.registered, 0U);
        auto const mine = static_cast<long long>(ranks.registered);
        EXPECT_EQ(world.all_min(mine), mine) << "the same memory on all ranks";
    }
    EXPECT_EQ(ranks.registered, 0U);
}

}  // namespace
}  // namespace tesserank::model
