#include "model/sequence_state.hpp"

#include "tests/model/support_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::TokenLogprob;
using test::FakeTextStream;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Pieces = std::vector<std::string>;

constexpr std::array<std::int32_t, 2> eos_ids{90, 91};

GenerateRequest request_for(std::size_t max_new_tokens) {
    GenerateRequest request;
    request.id = "a";
    request.prompt = {1, 2};
    request.max_new_tokens = max_new_tokens;
    return request;
}

/// Feeds tokens until the sequence ends.
GenerateResult run(GenerateRequest const& request, std::vector<std::int32_t> const& tokens,
                   std::unique_ptr<TextStream> stream = nullptr) {
    SequenceState state(request, eos_ids, std::move(stream));
    for (auto const token : tokens) {
        if (state.append({token, 0.0F}, {})) break;
    }
    return state.take_result();
}

TEST(SequenceState, LosesItsTokensWhenItFails) {
    auto const request = request_for(5);
    SequenceState state(request, eos_ids, nullptr);
    EXPECT_FALSE(state.append({7, -0.5F}, {}));
    state.fail("no number");
    auto const result = state.take_result();
    EXPECT_EQ(result.error, "no number");
    EXPECT_THAT(result.tokens, IsEmpty());
}

TEST(SequenceState, EndsAtMaxNewTokens) {
    auto const result = run(request_for(3), {5, 6, 7, 8});
    EXPECT_THAT(result.tokens, ElementsAre(5, 6, 7));
    EXPECT_EQ(result.reason, FinishReason::length);
    EXPECT_FALSE(result.text_end.has_value());
}

TEST(SequenceState, EndsAtAnEndOfTextIdAndKeepsIt) {
    for (std::int32_t const eos : eos_ids) {
        auto const result = run(request_for(9), {5, eos, 7});
        EXPECT_THAT(result.tokens, ElementsAre(5, eos));
        EXPECT_EQ(result.reason, FinishReason::stop);
    }
}

TEST(SequenceState, StopsForAReasonEvenAtTheLastToken) {
    EXPECT_EQ(run(request_for(2), {5, 90}).reason, FinishReason::stop);
}

TEST(SequenceState, GoesOnAfterEndOfTextWhenToldSo) {
    auto request = request_for(3);
    request.stop.ignore_eos = true;
    auto const result = run(request, {90, 91, 7, 8});
    EXPECT_THAT(result.tokens, ElementsAre(90, 91, 7));
    EXPECT_EQ(result.reason, FinishReason::length);
    // An id of the request still ends it.
    request.stop.token_ids = {91};
    EXPECT_THAT(run(request, {90, 91, 7}).tokens, ElementsAre(90, 91));
}

TEST(SequenceState, EndsAtAStopIdOfTheRequest) {
    auto request = request_for(9);
    request.stop.token_ids = {40, 6};
    auto const result = run(request, {5, 6, 7});
    EXPECT_THAT(result.tokens, ElementsAre(5, 6));
    EXPECT_EQ(result.reason, FinishReason::stop);
    EXPECT_FALSE(result.text_end.has_value());
}

/// Every piece is one token, in order; gives the number of tokens taken and the text's end.
std::pair<std::size_t, std::optional<std::size_t>> stop_in(std::vector<std::string> const& pieces,
                                                           std::vector<std::string> const& stops) {
    auto request = request_for(pieces.size());
    request.stop.strings = stops;
    std::vector<std::int32_t> tokens(pieces.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i);
    auto const result = run(request, tokens, std::make_unique<FakeTextStream>(pieces));
    EXPECT_EQ(result.reason, result.text_end ? FinishReason::stop : FinishReason::length);
    return {result.tokens.size(), result.text_end};
}

using Stop = std::pair<std::size_t, std::optional<std::size_t>>;

TEST(StopStrings, EndTheSequenceWithinOneToken) {
    EXPECT_EQ(stop_in({"one", " two END x", "three"}, {"END"}), Stop(2, 8));
    EXPECT_EQ(stop_in({"END", "x"}, {"END"}), Stop(1, 0));
}

TEST(StopStrings, AreFoundAcrossTokens) {
    EXPECT_EQ(stop_in({"ab", "E", "N", "D", "x"}, {"END"}), Stop(4, 2));
    EXPECT_EQ(stop_in({"abE", "NDx", "y"}, {"END"}), Stop(2, 2));
    EXPECT_EQ(stop_in({"a", "b", "", "c", "d"}, {"abc"}), Stop(4, 0));
}

TEST(StopStrings, AreFoundWhereAFalseStartComesBefore) {
    EXPECT_EQ(stop_in({"a", "a", "a", "b"}, {"aab"}), Stop(4, 1));
    EXPECT_EQ(stop_in({"ENEN", "D"}, {"END"}), Stop(2, 2));
    EXPECT_EQ(stop_in({"\n", "x", "\n", "\n"}, {"\n\n"}), Stop(4, 2));
}

TEST(StopStrings, CutAtTheFirstOfSeveral) {
    EXPECT_EQ(stop_in({"x", "one two"}, {"two", "one"}), Stop(2, 1));
    EXPECT_EQ(stop_in({"x", "one two"}, {"one", "two"}), Stop(2, 1));
    // One is the end of the other: the longer one begins first.
    EXPECT_EQ(stop_in({"a#", "##b"}, {"##", "###"}), Stop(2, 1));
    EXPECT_EQ(stop_in({"ab", "cd"}, {"cd", "bcd"}), Stop(2, 1));
}

TEST(StopStrings, OfOneByteAreFoundInNewTextOnly) {
    EXPECT_EQ(stop_in({"ab", "c", "d."}, {"."}), Stop(3, 4));
}

TEST(StopStrings, ThatDoNotOccurEndNothing) {
    EXPECT_EQ(stop_in({"EN", "d", "E", "N"}, {"END", "en"}), Stop(4, std::nullopt));
}

TEST(StopStrings, CountBytesOfTheText) {
    EXPECT_EQ(stop_in({"\xC3\xA4\xE2\x82\xAC", "!"}, {"!"}), Stop(2, 5));
}

TEST(StopStrings, AreFoundInTheTextOfAStopId) {
    auto request = request_for(9);
    request.stop = {.strings = {"bc"}, .token_ids = {1}};
    auto const result = run(request, {0, 1}, std::make_unique<FakeTextStream>(Pieces{"ab", "c"}));
    EXPECT_THAT(result.tokens, ElementsAre(0, 1));
    EXPECT_EQ(result.text_end, 1);
}

/// A sequence whose only text, "ab", is still held back when it ends, with "b" as its stop string.
GenerateResult run_held_back(std::size_t max_new_tokens, std::vector<std::int32_t> const& tokens) {
    auto request = request_for(max_new_tokens);
    request.stop = {.strings = {"b"}, .token_ids = {40}};
    return run(request, tokens,
               std::make_unique<FakeTextStream>(Pieces{"ab"}, test::HoldBack::last_piece));
}

TEST(StopStrings, AreFoundInTextThatIsHeldBackUntilTheEnd) {
    for (auto const& tokens : {std::vector{0, 90}, std::vector{0, 40}}) {
        auto const result = run_held_back(9, tokens);
        EXPECT_EQ(result.tokens, tokens);
        EXPECT_EQ(result.text_end, 1);
        EXPECT_EQ(result.reason, FinishReason::stop);
    }
    auto const result = run_held_back(2, {55, 0});
    EXPECT_THAT(result.tokens, ElementsAre(55, 0));
    EXPECT_EQ(result.text_end, 1);
    EXPECT_EQ(result.reason, FinishReason::stop);
}

TEST(NextSampling, PassesTheOptionsOn) {
    auto request = request_for(9);
    request.sampling = {.temperature = 0.5F,
                        .top_k = 3,
                        .top_p = 0.25F,
                        .min_p = 0.125F,
                        .repetition_penalty = 1.5F};
    SequenceState const state(request, eos_ids, nullptr);
    auto const params = state.next_sampling();
    EXPECT_EQ(params.temperature, 0.5F);
    EXPECT_EQ(params.top_k, 3);
    EXPECT_EQ(params.top_p, 0.25F);
    EXPECT_EQ(params.min_p, 0.125F);
    EXPECT_EQ(params.repetition_penalty, 1.5F);
}

TEST(NextSampling, ShowsPromptAndNewTokensToThePenalty) {
    auto const request = request_for(9);
    SequenceState state(request, eos_ids, nullptr);
    EXPECT_THAT(state.next_sampling().seen, ElementsAre(1, 2));
    state.append({7, 0.0F}, {});
    state.append({8, 0.0F}, {});
    EXPECT_THAT(state.next_sampling().seen, ElementsAre(1, 2, 7, 8));
}

std::vector<double> draws_of(std::string const& id, std::uint64_t seed, std::int32_t token = 5) {
    auto request = request_for(9);
    request.id = id;
    request.prompt.assign(static_cast<std::size_t>(token), token);
    request.sampling.seed = seed;
    SequenceState state(request, eos_ids, nullptr);
    std::vector<double> draws;
    for (int i = 0; i < 5; ++i) {
        draws.push_back(state.next_sampling().uniform);
        EXPECT_EQ(state.next_sampling().uniform, draws.back()) << "asking does not draw";
        state.append({token, 0.0F}, {});
    }
    return draws;
}

TEST(NextSampling, DrawsFromSeedIdAndPositionAlone) {
    auto const draws = draws_of("a", 1);
    EXPECT_EQ(std::set<double>(draws.begin(), draws.end()).size(), 5) << "differ by position";
    for (double const draw : draws) {
        EXPECT_GE(draw, 0.0);
        EXPECT_LT(draw, 1.0);
    }
    EXPECT_EQ(draws_of("a", 1), draws);
    EXPECT_EQ(draws_of("a", 1, 3), draws) << "neither tokens nor prompt matter";
    for (auto const& other : {draws_of("b", 1), draws_of("a", 2)}) {
        for (std::size_t i = 0; i < draws.size(); ++i) EXPECT_NE(other[i], draws[i]);
    }
}

GenerateResult run_with_logprobs(std::optional<std::size_t> top_logprobs) {
    auto request = request_for(2);
    request.top_logprobs = top_logprobs;
    SequenceState state(request, eos_ids, nullptr);
    state.append({5, -0.5F}, std::vector<TokenLogprob>(top_logprobs.value_or(0), {5, -0.5F}));
    state.append({6, -1.5F}, std::vector<TokenLogprob>(top_logprobs.value_or(0), {9, -0.25F}));
    return state.take_result();
}

TEST(Logprobs, AreKeptWhenAskedFor) {
    EXPECT_THAT(run_with_logprobs(std::nullopt).logprobs, IsEmpty());
    EXPECT_THAT(run_with_logprobs(std::nullopt).top_logprobs, IsEmpty());
    EXPECT_THAT(run_with_logprobs(0).logprobs, ElementsAre(-0.5F, -1.5F));
    EXPECT_THAT(run_with_logprobs(0).top_logprobs, IsEmpty());
    auto const result = run_with_logprobs(1);
    EXPECT_THAT(result.logprobs, ElementsAre(-0.5F, -1.5F));
    ASSERT_EQ(result.top_logprobs.size(), 2);
    EXPECT_EQ(result.top_logprobs[1].at(0).token, 9);
    EXPECT_EQ(result.top_logprobs[1].at(0).logprob, -0.25F);
}

}  // namespace
}  // namespace tesserank::model
