#include "model/generate.hpp"

#include "parallel/agree.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_text.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using test::Alone;
using test::LoadedModel;
using test::RunOptions;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Results = std::vector<GenerateResult>;
using Requests = std::vector<GenerateRequest>;

GenerateRequest request_of(DecoderConfig const& config, std::string id, std::size_t prompt,
                           std::size_t max_new_tokens, SamplingOptions sampling = {}) {
    GenerateRequest request;
    request.id = std::move(id);
    request.prompt = test::pseudo_tokens(config, prompt, prompt + 10);
    request.max_new_tokens = max_new_tokens;
    request.sampling = sampling;
    request.top_logprobs = 0;
    return request;
}

/// Greedy and sampled sequences of different lengths.
Requests requests_of(DecoderConfig const& config) {
    return {request_of(config, "greedy", 5, 6),
            request_of(config, "hot", 1, 8, {.temperature = 1.5F, .seed = 7}),
            request_of(config, "cut", 9, 3, {.temperature = 1.0F, .top_k = 9, .top_p = 0.9F}),
            request_of(config, "short", 3, 1),
            request_of(config, "varied", 4, 7,
                       {.temperature = 0.8F, .min_p = 0.05F, .repetition_penalty = 1.3F})};
}

class GenerateTest : public test::MpiTest {
  protected:
    Results run(LoadedModel& model, Requests const& requests, BatchTools const& tools = {}) {
        return generate(model.transformer, world, test::on_rank_0(world, requests), tools);
    }

    /// Each request alone, on rank 0.
    Results expected(DecoderConfig const& config, Requests const& requests,
                     std::span<std::int32_t const> eos_ids = {}) const {
        Results results;
        if (world.rank() != 0) return results;
        Alone alone(config);
        for (auto const& request : requests) results.push_back(alone.generate(request, eos_ids));
        return results;
    }

    static void expect_same(Results const& found, Results const& wanted) {
        ASSERT_EQ(found.size(), wanted.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
            SCOPED_TRACE("request " + std::to_string(i));
            EXPECT_EQ(found[i].tokens, wanted[i].tokens);
            EXPECT_EQ(found[i].reason, wanted[i].reason);
            // As many float errors as in a logit of at most 20: see rounding_tolerance.
            EXPECT_THAT(found[i].logprobs,
                        ::testing::Pointwise(::testing::FloatNear(2e-3F), wanted[i].logprobs));
        }
    }
};

class EveryDecoder
    : public GenerateTest,
      public ::testing::WithParamInterface<std::tuple<test::NamedDecoder, std::string>> {};

TEST_P(EveryDecoder, ChoosesTheTokensOfOneRankUnderEveryPlan) {
    auto const& [decoder, backend] = GetParam();
    auto const requests = requests_of(decoder.config);
    auto const wanted = expected(decoder.config, requests);
    for (auto const& plan : {test::preset_plan(decoder.config, "shard", world.size()),
                             test::preset_plan(decoder.config, "replicate", world.size()),
                             test::mixed_plan(decoder.config, world.size(), 1)}) {
        LoadedModel model(decoder.config, plan, world, {.backend = backend});
        expect_same(run(model, requests), wanted);
    }
}

INSTANTIATE_TEST_SUITE_P(Decoders, EveryDecoder,
                         ::testing::Combine(::testing::ValuesIn(test::decoders()),
                                            ::testing::Values("reference", "kokkos")),
                         [](auto const& param) {
                             return std::get<0>(param.param).name + "_" + std::get<1>(param.param);
                         });

TEST_F(GenerateTest, GivesARequestTheSameTokensInEveryBatch) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    auto const wanted = expected(config, requests);
    LoadedModel model(config, test::mixed_plan(config, world.size(), 2), world);
    Results alone;
    for (auto const& request : requests) {
        for (auto& result : run(model, {request})) alone.push_back(std::move(result));
    }
    expect_same(alone, wanted);

    auto reversed = requests;
    std::ranges::reverse(reversed);
    auto results = run(model, reversed);
    std::ranges::reverse(results);
    expect_same(results, wanted);
}

TEST_F(GenerateTest, GivesTheSameTokensWhateverTheSizeOfAStep) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    auto const wanted = expected(config, requests);
    for (auto const& limits : {TransformerOptions{.max_rows = 1, .max_logit_rows = 1},
                               TransformerOptions{.max_rows = 3, .max_logit_rows = 2},
                               TransformerOptions{.max_rows = 7, .max_logit_rows = 4},
                               TransformerOptions{.max_rows = 512, .max_logit_rows = 1}}) {
        SCOPED_TRACE(limits.max_rows);
        LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world,
                          {.limits = limits});
        expect_same(run(model, requests), wanted);
    }
}

TEST_F(GenerateTest, EndsSequencesWhileOthersGoOn) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    auto wanted = expected(config, requests);
    // The end of text is what the first sequence chooses third.
    std::vector<std::int32_t> eos{world.rank() == 0 ? wanted[0].tokens[2] : 0};
    for (auto& result : wanted) {
        auto const found = std::ranges::find(result.tokens, eos[0]);
        if (found == result.tokens.end()) continue;
        result.tokens.erase(found + 1, result.tokens.end());
        result.logprobs.resize(result.tokens.size());
        result.reason = FinishReason::stop;
    }
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    expect_same(run(model, requests, {.eos_ids = eos}), wanted);
}

/// Token i is written as the letter 'A' + i, or two of them.
std::vector<std::string> pieces_of(DecoderConfig const& config) {
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < config.vocabulary; ++i) {
        pieces.emplace_back(1 + i % 2, static_cast<char>('A' + i));
    }
    return pieces;
}

TEST_F(GenerateTest, StopsAtAStringThatSpansTokens) {
    auto const config = test::decoder_with_everything();
    auto const pieces = pieces_of(config);
    test::FakeTextStreams const texts(pieces);
    auto requests = requests_of(config);
    auto wanted = expected(config, requests);
    if (world.rank() == 0) {
        std::string text;
        for (auto const token : wanted[1].tokens) text += pieces[static_cast<std::size_t>(token)];
        // From the last letter of the third token to the first of the fourth.
        std::size_t third = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            third += pieces[static_cast<std::size_t>(wanted[1].tokens[i])].size();
        }
        requests[1].stop.strings = {"never", text.substr(third - 1, 2)};
        std::size_t const end = text.find(requests[1].stop.strings[1]);
        wanted[1].text_end = end;
        std::size_t bytes = 0, count = 0;
        while (bytes < end + 2) {
            bytes += pieces[static_cast<std::size_t>(wanted[1].tokens[count++])].size();
        }
        EXPECT_LT(count, wanted[1].tokens.size()) << "the stop string must cut something off";
        wanted[1].tokens.resize(count);
        wanted[1].logprobs.resize(count);
        wanted[1].reason = FinishReason::stop;
    }
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    auto const results = run(model, requests, {.eos_ids = {}, .text = &texts});
    expect_same(results, wanted);
    for (std::size_t i = 0; i < results.size(); ++i) {
        EXPECT_EQ(results[i].text_end, wanted[i].text_end);
    }
}

TEST_F(GenerateTest, HandsOnTheLogitsThatEachTokenWasChosenFrom) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    LoadedModel model(config, test::mixed_plan(config, world.size(), 3), world);
    test::KeepLogits sink;
    auto const results = run(model, requests, {.eos_ids = {}, .text = nullptr, .logits = &sink});
    if (world.rank() != 0) {
        EXPECT_THAT(sink.rows, IsEmpty());
        return;
    }
    Alone alone(config);
    for (std::size_t i = 0; i < results.size(); ++i) {
        auto tokens = requests[i].prompt;
        tokens.insert(tokens.end(), results[i].tokens.begin(), results[i].tokens.end() - 1);
        auto rows = alone.logits(tokens);
        rows.erase(rows.begin(), rows.end() - std::ssize(results[i].tokens));
        test::expect_close(sink.rows.at(requests[i].id), rows);
    }
}

TEST_F(GenerateTest, GivesTheMostLikelyTokensWhenAskedFor) {
    auto const config = test::decoder_with_everything();
    auto request = request_of(config, "a", 4, 3);
    request.top_logprobs = 5;
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    auto const results = run(model, {request});
    ASSERT_THAT(results, SizeIs(world.rank() == 0 ? 1U : 0U));
    for (auto const& result : results) {
        ASSERT_THAT(result.top_logprobs, SizeIs(3));
        for (std::size_t i = 0; i < 3; ++i) {
            ASSERT_THAT(result.top_logprobs[i], SizeIs(5));
            EXPECT_EQ(result.top_logprobs[i][0].token, result.tokens[i]);
            EXPECT_EQ(result.top_logprobs[i][0].logprob, result.logprobs[i]);
            EXPECT_GE(result.top_logprobs[i][0].logprob, result.top_logprobs[i][1].logprob);
        }
    }
}

TEST_F(GenerateTest, GivesNoMoreLikelyTokensThanTheVocabularyHas) {
    auto const config = test::tiny_decoder();
    auto request = request_of(config, "a", 4, 1);
    request.top_logprobs = config.vocabulary + 1;
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    auto const results = run(model, {request});
    ASSERT_THAT(results, SizeIs(world.rank() == 0 ? 1U : 0U));
    for (auto const& result : results) {
        ASSERT_THAT(result.top_logprobs, SizeIs(1));
        EXPECT_THAT(result.top_logprobs[0], SizeIs(config.vocabulary));
    }
}

/// While it lives, this process gets hardly any memory besides what it has.
class NoMoreMemory {
  public:
    NoMoreMemory() {
        getrlimit(RLIMIT_AS, &before_);
        rlim_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        auto now = before_;
        now.rlim_cur = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{128} << 20);
        setrlimit(RLIMIT_AS, &now);
    }
    ~NoMoreMemory() { setrlimit(RLIMIT_AS, &before_); }
    NoMoreMemory(NoMoreMemory const&) = delete;
    NoMoreMemory& operator=(NoMoreMemory const&) = delete;

  private:
    rlimit before_{};
};

TEST_F(GenerateTest, FailsOnEveryRankWhereOneHasNoMemoryForTheCache) {
    auto const config = test::tiny_decoder();
    LoadedModel model(config, test::preset_plan(config, "replicate", world.size()), world);
    // 512 MiB for the keys of a layer; never touched, so that nobody really needs them.
    std::size_t const bytes_per_token = config.kv_heads * config.head_dim * sizeof(float);
    auto const request = request_of(config, "a", 4, (std::size_t{512} << 20) / bytes_per_token);
    auto const last_has_none = world.rank() == world.size() - 1 ? std::make_unique<NoMoreMemory>()
                                                                : std::unique_ptr<NoMoreMemory>();
    try {
        run(model, {request});
        ADD_FAILURE() << "no error";
    } catch (kernels::SystemError const& error) {
        EXPECT_NE(dynamic_cast<parallel::Agreed const*>(&error), nullptr) << error.what();
    }
}

TEST_F(GenerateTest, GivesResultsOnRankZeroAlone) {
    auto const config = test::tiny_decoder();
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    EXPECT_THAT(run(model, requests_of(config)), SizeIs(world.rank() == 0 ? 5U : 0U));
    EXPECT_THAT(run(model, {}), IsEmpty());
}

TEST_F(GenerateTest, SaysOnEveryRankWhenEachSequenceHasItsFirstToken) {
    auto const config = test::tiny_decoder();
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    test::KeepLogits sink;
    int calls = 0;
    auto const count = [&] {
        ++calls;
        if (world.rank() != 0) return;
        EXPECT_THAT(sink.rows, SizeIs(5));
        for (auto const& [id, rows] : sink.rows) EXPECT_THAT(rows, SizeIs(1)) << id;
    };
    run(model, requests_of(config), {.eos_ids = {}, .logits = &sink, .prefilled = count});
    EXPECT_EQ(calls, 1);
}

TEST_F(GenerateTest, LeavesNothingBehindForTheNextBatch) {
    auto const config = test::decoder_with_everything();
    auto const requests = requests_of(config);
    auto const wanted = expected(config, requests);
    LoadedModel model(config, test::preset_plan(config, "shard", world.size()), world);
    // A small batch first, so that the cache must grow, then twice the same one.
    run(model, {request_of(config, "first", 2, 2)});
    expect_same(run(model, requests), wanted);
    expect_same(run(model, requests), wanted);
}

}  // namespace
}  // namespace tesserank::model
