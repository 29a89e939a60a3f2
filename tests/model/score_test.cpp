#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using test::Alone;
using test::LoadedModel;
using ::testing::IsEmpty;

std::vector<ScoreRequest> requests_of(DecoderConfig const& config) {
    return {{"a", test::pseudo_tokens(config, 5, 1), {}, test::pseudo_tokens(config, 4, 2)},
            {"b", test::pseudo_tokens(config, 1, 3), {}, test::pseudo_tokens(config, 1, 4)},
            {"c", test::pseudo_tokens(config, 2, 5), {}, test::pseudo_tokens(config, 7, 6)}};
}

double log_softmax(std::vector<float> const& logits, std::int32_t token) {
    double sum = 0.0;
    for (float const logit : logits) sum += std::exp(static_cast<double>(logit));
    return static_cast<double>(logits[static_cast<std::size_t>(token)]) - std::log(sum);
}

class ScoreTest : public test::MpiTest {
  protected:
    std::vector<ScoreResult> run(LoadedModel& model, std::vector<ScoreRequest> const& requests,
                                 LogitsSink* sink = nullptr) {
        return score(model.transformer, world, test::on_rank_0(world, requests),
                     {.eos_ids = {}, .text = nullptr, .logits = sink});
    }

    void expect_likelihoods(DecoderConfig const& config, std::vector<ScoreRequest> const& requests,
                            std::vector<ScoreResult> const& results) const {
        ASSERT_EQ(results.size(), world.rank() == 0 ? requests.size() : 0);
        if (world.rank() != 0) return;
        Alone alone(config);
        for (std::size_t i = 0; i < results.size(); ++i) {
            auto const& [id, prompt, pictures, completion] = requests[i];
            SCOPED_TRACE(id);
            auto tokens = prompt;
            tokens.insert(tokens.end(), completion.begin(), completion.end());
            auto const logits = alone.logits(tokens);
            ASSERT_EQ(results[i].logprobs.size(), completion.size());
            for (std::size_t k = 0; k < completion.size(); ++k) {
                double const expected = log_softmax(logits[prompt.size() + k - 1], completion[k]);
                // As many float errors as in a logit of at most 20: see rounding_tolerance.
                EXPECT_NEAR(results[i].logprobs[k], expected, 2e-3);
            }
        }
    }
};

TEST_F(ScoreTest, GivesTheLikelihoodOfEachCompletionTokenGivenAllBeforeIt) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    for (std::size_t const max_rows : {1U, 3U, 512U}) {
        SCOPED_TRACE(max_rows);
        LoadedModel model(config, test::mixed_plan(config, world.size(), 4), world,
                          {.limits = {.max_rows = max_rows, .max_logit_rows = 2}});
        expect_likelihoods(config, requests, run(model, requests));
    }
}

TEST_F(ScoreTest, GivesTheSameWithASinkAndARowOfLogitsForEachToken) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    test::KeepLogits sink;
    expect_likelihoods(config, requests, run(model, requests, &sink));
    if (world.rank() != 0) {
        EXPECT_THAT(sink.rows, IsEmpty());
        return;
    }
    Alone alone(config);
    for (auto const& [id, prompt, pictures, completion] : requests) {
        auto tokens = prompt;
        tokens.insert(tokens.end(), completion.begin(), completion.end());
        test::expect_close(sink.rows.at(id), alone.logits(tokens));
    }
}

TEST_F(ScoreTest, GivesTheSameWithASinkUnderDynamicNtk) {
    auto config = test::decoder_with_everything();
    config.rope = {.kind = RopeConfig::Kind::dynamic_ntk, .factor = 4.0, .original_context = 2};
    auto const requests = requests_of(config);
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    expect_likelihoods(config, requests, run(model, requests));
    test::KeepLogits sink;
    expect_likelihoods(config, requests, run(model, requests, &sink));
}

TEST_F(ScoreTest, AgreesWithTheLogprobsOfGenerate) {
    auto const config = test::decoder_with_everything();
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    GenerateRequest request;
    request.id = "a";
    request.prompt = test::pseudo_tokens(config, 6, 9);
    request.max_new_tokens = 5;
    request.top_logprobs = 0;
    auto const generated =
        generate(model.transformer, world, test::on_rank_0(world, std::vector{request}), {});
    std::vector<ScoreRequest> scored;
    for (auto const& result : generated) scored.push_back({"a", request.prompt, {}, result.tokens});
    auto const results = run(model, scored);
    ASSERT_EQ(results.size(), world.rank() == 0 ? 1 : 0);
    for (std::size_t i = 0; i < results.size(); ++i) {
        EXPECT_THAT(results[i].logprobs,
                    ::testing::Pointwise(::testing::FloatNear(1e-4F), generated[i].logprobs));
    }
}

TEST_F(ScoreTest, OfNothingIsNothing) {
    auto const config = test::tiny_decoder();
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    EXPECT_THAT(run(model, {}), IsEmpty());
}

}  // namespace
}  // namespace tesserank::model
