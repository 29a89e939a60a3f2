#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <limits>

namespace tesserank::kernels {
namespace {

/// Rows of logits in a backend's memory, as a part of wider ones.
class Logits {
  public:
    Logits(Backend& backend, std::vector<float> const& values, std::size_t rows = 1) {
        constexpr std::size_t gap = 3;
        std::size_t const cols = rows == 0 ? 0 : values.size() / rows;
        wide_ = make_tensor(backend, DType::f32, rows, cols + gap);
        for (std::size_t r = 0; r < rows; ++r) {
            auto const row = std::span(values).subspan(r * cols, cols);
            backend.copy_from_host(std::as_bytes(row), wide_.view.rows_from(r, 1).data);
        }
        view_ = wide_.view.cols_from(0, cols);
    }
    ConstTensorView view() const { return view_; }

  private:
    Tensor wide_;
    TensorView view_;
};

class SamplingTest : public BackendTest {
  protected:
    TokenLogprob sample(std::vector<float> const& logits, SamplingParams const& params) {
        return sample_by(*backend, logits, params);
    }

    static TokenLogprob sample_by(Backend& by, std::vector<float> const& logits,
                                  SamplingParams const& params) {
        TokenLogprob chosen;
        by.sample(Logits(by, logits).view(), {&params, 1}, {&chosen, 1});
        return chosen;
    }

    /// The tokens that draws at the midpoints of `steps` equal parts of [0, 1) fall on.
    std::vector<int> draws(std::vector<float> const& logits, SamplingParams params, int steps) {
        std::vector<int> tokens;
        for (int i = 0; i < steps; ++i) {
            params.uniform = (i + 0.5) / steps;
            tokens.push_back(sample(logits, params).token);
        }
        return tokens;
    }

    std::vector<float> random_logits(std::size_t size, float deviation) {
        return random(1, size, DType::f32, deviation).row(0);
    }
};

/// Logits of the given probabilities.
std::vector<float> logs(std::vector<float> probabilities) {
    for (float& p : probabilities) p = std::log(p);
    return probabilities;
}

TEST_P(SamplingTest, GreedyTakesTheLargestAndOnTiesTheLowestId) {
    EXPECT_EQ(sample({0, 3, 1, 3}, {}).token, 1);
    EXPECT_EQ(sample({0, 3, 1, 4}, {.temperature = 1.0F, .top_k = 1, .uniform = 0.9}).token, 3);
    EXPECT_EQ(sample({5}, {}).token, 0);
    std::vector<float> many(1000, -1.0F);
    many[777] = many[999] = 2.0F;
    EXPECT_EQ(sample(many, {}).token, 777);
}

TEST_P(SamplingTest, LogprobIsOfTheWholeVocabularyBeforePenaltyAndTemperature) {
    std::vector<std::int32_t> const seen{2};
    auto const chosen = sample(logs({0.5F, 0.3F, 0.2F}), {.temperature = 0.1F,
                                                          .top_k = 2,
                                                          .repetition_penalty = 3.0F,
                                                          .uniform = 0.999999,
                                                          .seen = seen});
    EXPECT_EQ(chosen.token, 1);
    EXPECT_NEAR(chosen.logprob, std::log(0.3F), 1e-6F);
}

TEST_P(SamplingTest, DrawsFallOnCandidatesByFallingProbability) {
    auto const logits = logs({0.2F, 0.5F, 0.3F});
    EXPECT_EQ(draws(logits, {.temperature = 1.0F}, 10),
              (std::vector<int>{1, 1, 1, 1, 1, 2, 2, 2, 0, 0}));
    EXPECT_EQ(draws({1, 1, 1, 1}, {.temperature = 1.0F}, 4), (std::vector<int>{0, 1, 2, 3}))
        << "ties by rising id";
}

TEST_P(SamplingTest, TemperatureFlattensOrSharpens) {
    auto const logits = logs({0.2F, 0.8F});
    EXPECT_EQ(draws(logits, {.temperature = 2.0F}, 6), (std::vector<int>{1, 1, 1, 1, 0, 0}))
        << "the odds of 4 to 1 become 2 to 1";
    EXPECT_EQ(draws(logits, {.temperature = 1e-30F}, 3), (std::vector<int>{1, 1, 1}));
}

TEST_P(SamplingTest, TopKKeepsExactlyKAlsoOnTies) {
    EXPECT_EQ(draws({1, 2, 2, 2}, {.temperature = 1.0F, .top_k = 2}, 4),
              (std::vector<int>{1, 1, 2, 2}));
    EXPECT_EQ(draws({1, 1}, {.temperature = 1.0F, .top_k = 9}, 2), (std::vector<int>{0, 1}));
}

TEST_P(SamplingTest, TopPKeepsTheSmallestPrefixThatReachesIt) {
    auto const logits = logs({0.1F, 0.4F, 0.3F, 0.2F});
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .top_p = 0.65F}, 7),
              (std::vector<int>{1, 1, 1, 1, 2, 2, 2}));
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .top_p = 0.75F}, 9),
              (std::vector<int>{1, 1, 1, 1, 2, 2, 2, 3, 3}));
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .top_p = 0.0F}, 2), (std::vector<int>{1, 1}));
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .top_k = 2, .top_p = 0.55F}, 2),
              (std::vector<int>{1, 1}))
        << "of what top_k leaves, 0.4 / 0.7 reach it";
}

TEST_P(SamplingTest, MinPIsRelativeToTheMostLikely) {
    auto const logits = logs({0.1F, 0.5F, 0.25F, 0.15F});
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .min_p = 0.45F}, 3), (std::vector<int>{1, 1, 2}));
    EXPECT_EQ(draws(logits, {.temperature = 1.0F, .min_p = 2.0F}, 2), (std::vector<int>{1, 1}))
        << "the most likely always stays";
}

TEST_P(SamplingTest, PenaltyMakesSeenTokensLessLikelyOnceEach) {
    std::vector<std::int32_t> const seen{0, 0, 2, -1, 77};
    EXPECT_EQ(sample({6, 4, 0}, {.repetition_penalty = 1.4F, .seen = seen}).token, 0)
        << "6 / 1.4 is above 4, 6 / 1.4 / 1.4 would not be";
    EXPECT_EQ(sample({6, 4, 0}, {.repetition_penalty = 2.0F, .seen = seen}).token, 1);
    EXPECT_EQ(sample({-2, -3, -9}, {.repetition_penalty = 2.0F, .seen = seen}).token, 1)
        << "a negative logit is multiplied";
    EXPECT_THROW(sample({1, 2}, {.repetition_penalty = 0.0F}), LogicError);
}

TEST_P(SamplingTest, InfinitiesAreWhatTheySay) {
    SamplingParams const any{.temperature = 1.0F, .top_p = 0.9F, .min_p = 0.01F, .uniform = 0.99};
    EXPECT_EQ(sample({-INFINITY, 1, -INFINITY}, any).token, 1);
    EXPECT_EQ(sample({5, INFINITY, 7}, any).token, 1);
    EXPECT_EQ(sample({5, INFINITY, INFINITY}, any).token, 2);
    EXPECT_FLOAT_EQ(sample({5, INFINITY, INFINITY}, {}).logprob, std::log(0.5F));
    EXPECT_EQ(sample({-INFINITY, -INFINITY}, {}).token, 0);
    EXPECT_FLOAT_EQ(sample({-INFINITY, 0}, {}).logprob, 0.0F);
}

/// A broken model must neither crash nor loop, and must be seen in the logprob.
TEST_P(SamplingTest, NanCountsAsLeastLikelyAndShowsInTheLogprob) {
    for (SamplingParams const& params :
         {SamplingParams{}, SamplingParams{.temperature = 1.0F, .uniform = 0.7},
          SamplingParams{.temperature = 0.5F, .top_k = 2, .uniform = 0.2},
          SamplingParams{.temperature = 1.0F, .top_p = 0.5F, .min_p = 0.1F, .uniform = 0.99}}) {
        auto const some = sample({NAN, -INFINITY, 3, NAN}, params);
        EXPECT_EQ(some.token, 2);
        EXPECT_TRUE(std::isnan(some.logprob));
        auto const all = sample(std::vector<float>(100, NAN), params);
        EXPECT_GE(all.token, 0);
        EXPECT_LT(all.token, 100);
        EXPECT_TRUE(std::isnan(all.logprob));
    }
    EXPECT_EQ(sample({NAN, NAN}, {}).token, 0);
}

/// Both choose alike except where a draw falls within rounding of the border between two
/// candidates, 1e-7 of the whole; no draw here does.
TEST_P(SamplingTest, AgreesWithReference) {
    std::vector<std::int32_t> const seen{3, 5, 17};
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (std::size_t const size : Sizes{1, 2, 63, 64, 65, 129, 1000, 5003}) {
        for (float const deviation : {0.1F, 2.0F}) {
            auto const logits = random_logits(size, deviation);
            for (SamplingParams params :
                 {SamplingParams{}, SamplingParams{.temperature = 0.7F},
                  SamplingParams{.temperature = 1.3F, .top_k = 50},
                  SamplingParams{.temperature = 1.0F, .top_k = 70, .top_p = 0.8F},
                  SamplingParams{.temperature = 1.0F, .top_p = 0.95F},
                  SamplingParams{.temperature = 1.5F, .min_p = 0.02F},
                  SamplingParams{.temperature = 0.9F, .top_p = 0.9F, .min_p = 0.1F},
                  SamplingParams{.temperature = 1.0F, .repetition_penalty = 1.3F}}) {
                params.seen = seen;
                for (int i = 0; i < 5; ++i) {
                    params.uniform = i == 0 ? 0.0 : i == 1 ? 1.0 - 0x1p-53 : uniform(engine);
                    auto const chosen = sample(logits, params);
                    auto const expected = sample_by(*reference, logits, params);
                    ASSERT_EQ(chosen.token, expected.token) << size << " at " << params.uniform;
                    ASSERT_NEAR(chosen.logprob, expected.logprob, 2e-6F);
                }
            }
        }
    }
}

TEST_P(SamplingTest, RowsOfABatchAreIndependent) {
    auto const values = random_logits(300, 1.0F);
    Logits const logits(*backend, values, 3);
    SamplingParams const params[] = {
        {}, {.temperature = 1.0F, .uniform = 0.6}, {.temperature = 0.0F}};
    TokenLogprob chosen[3];
    backend->sample(logits.view(), params, chosen);
    for (std::size_t b = 0; b < 3; ++b) {
        auto const row = values.begin() + static_cast<std::ptrdiff_t>(100 * b);
        auto const alone = sample({row, row + 100}, params[b]);
        EXPECT_EQ(chosen[b].token, alone.token);
        EXPECT_EQ(chosen[b].logprob, alone.logprob);
    }
    EXPECT_NO_THROW(backend->sample(logits.view().rows_from(0, 0), {}, {}));
}

TEST_P(SamplingTest, LogProbabilitiesAreThoseOfTheSoftmax) {
    std::vector<float> values(6, -1e30F);
    for (std::size_t c = 0; c < 3; ++c) {
        values[c] = std::log(static_cast<float>(c + 1)) + 1000.0F;
    }
    Logits const logits(*backend, values, 2);
    std::vector<std::int32_t> const tokens{2, 0};
    std::vector<float> logprobs(2);
    backend->log_probabilities(logits.view(), tokens, logprobs);
    EXPECT_NEAR(logprobs[0], std::log(0.5F), 1e-4F) << "a float near 1000 has steps of 6e-5";
    EXPECT_NEAR(logprobs[1], std::log(1.0F / 3.0F), 1e-6F);
    std::vector<std::int32_t> const outside{3, 0};
    EXPECT_THROW(backend->log_probabilities(logits.view(), outside, logprobs), LogicError);
}

TEST_P(SamplingTest, LogProbabilitiesAgreeWithReference) {
    for (std::size_t const size : Sizes{1, 15, 16, 17, 1001}) {
        auto const logits = random_logits(4 * size, 3.0F);
        std::vector<std::int32_t> const tokens(4, static_cast<std::int32_t>(size / 2));
        std::vector<float> actual(4);
        std::vector<float> expected(4);
        backend->log_probabilities(Logits(*backend, logits, 4).view(), tokens, actual);
        reference->log_probabilities(Logits(*reference, logits, 4).view(), tokens, expected);
        // Below 20 in size: a few steps of a float there.
        for (std::size_t t = 0; t < 4; ++t) EXPECT_NEAR(actual[t], expected[t], 4e-6F);
    }
}

TEST_P(SamplingTest, TopLogProbabilitiesFallAndTiesGoByRisingId) {
    auto const logits = logs({0.1F, 0.4F, 0.1F, 0.4F});
    TokenLogprob top[3];
    backend->top_log_probabilities(Logits(*backend, logits).view(), top);
    EXPECT_EQ(top[0].token, 1);
    EXPECT_EQ(top[1].token, 3);
    EXPECT_EQ(top[2].token, 0);
    EXPECT_NEAR(top[0].logprob, std::log(0.4F), 1e-6F);
    EXPECT_NEAR(top[2].logprob, std::log(0.1F), 1e-6F);
    auto const many = random_logits(3001, 1.0F);
    std::vector<TokenLogprob> best(40);
    std::vector<TokenLogprob> expected(40);
    Logits const rows(*backend, many);
    backend->top_log_probabilities(rows.view(), best);
    reference->top_log_probabilities(Logits(*reference, many).view(), expected);
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(best[i].token, expected[i].token);
    EXPECT_NO_THROW(backend->top_log_probabilities(rows.view(), {}));
}

/// Tokens of the `count` largest logits of each row of [rows, cols].
struct TopLogits {
    std::vector<TokenLogit> top;
    std::vector<float> log_sums;
};
TopLogits top_logits_by(Backend& by, std::vector<float> const& logits, std::size_t rows,
                        std::size_t count) {
    TopLogits result{std::vector<TokenLogit>(rows * count), std::vector<float>(rows)};
    by.top_logits(Logits(by, logits, rows).view(), count, result.top, result.log_sums);
    return result;
}

TEST_P(SamplingTest, TopLogitsAreSortedAndOnTiesByRisingId) {
    auto const found = top_logits_by(*backend, {1, 3, 2, 3, 0, 5, 5, 5}, 2, 3);
    std::vector<int> tokens;
    for (auto const& candidate : found.top) tokens.push_back(candidate.token);
    EXPECT_EQ(tokens, (std::vector<int>{1, 3, 2, 1, 2, 3}));
    EXPECT_EQ(found.top[2].logit, 2.0F);
    EXPECT_NEAR(found.log_sums[0], std::log(std::exp(1.0F) + 2 * std::exp(3.0F) + std::exp(2.0F)),
                1e-5F);
}

TEST_P(SamplingTest, TopLogitsEqualTheReferences) {
    for (std::size_t const cols : {1U, 63U, 64U, 65U, 1009U}) {
        auto const logits = random_logits(cols, 3.0F);
        for (std::size_t const count : {std::size_t{1}, cols / 2, cols}) {
            auto const found = top_logits_by(*backend, logits, 1, count);
            auto const wanted = top_logits_by(*reference, logits, 1, count);
            for (std::size_t i = 0; i < count; ++i) {
                EXPECT_EQ(found.top[i].token, wanted.top[i].token);
                EXPECT_EQ(found.top[i].logit, wanted.top[i].logit);
            }
            EXPECT_NEAR(found.log_sums[0], wanted.log_sums[0], 1e-4F);
        }
    }
}

TEST_P(SamplingTest, TopLogitsOfNothingSumToNothing) {
    auto const found = top_logits_by(*backend, {}, 1, 0);
    EXPECT_EQ(found.log_sums[0], -std::numeric_limits<float>::infinity());
}

INSTANTIATE_TEST_SUITE_P(Backends, SamplingTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
