#pragma once

#include "model/generate.hpp"
#include "tests/model/support_decoders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::test {

inline model::GenerateRequest request_of(model::DecoderConfig const& config, std::string id,
                                         std::size_t prompt, std::size_t max_new_tokens,
                                         model::SamplingOptions sampling = {}) {
    model::GenerateRequest request;
    request.id = std::move(id);
    request.prompt = pseudo_tokens(config, prompt, prompt + 10);
    request.max_new_tokens = max_new_tokens;
    request.sampling = sampling;
    request.top_logprobs = 0;
    return request;
}

/// Sequences that end at different steps: the rows shrink from 12 to 8, 4, 2 and 1.
inline std::vector<model::GenerateRequest> ragged_requests(
    model::DecoderConfig const& config, model::SamplingOptions const& sampling = {}) {
    std::vector<model::GenerateRequest> requests;
    for (std::size_t i = 0; i < 9; ++i) {
        requests.push_back(
            request_of(config, "r" + std::to_string(i), 1 + i * 5 % 11, 1 + i * 7 % 13, sampling));
        requests.back().sampling.seed = i;
    }
    return requests;
}

/// Every way of choosing, in one batch.
inline std::vector<model::GenerateRequest> mixed_requests(model::DecoderConfig const& config) {
    return {request_of(config, "greedy", 5, 6),
            request_of(config, "hot", 1, 8, {.temperature = 1.5F, .seed = 7}),
            request_of(config, "cut", 9, 3, {.temperature = 1.0F, .top_k = 9, .top_p = 0.9F}),
            request_of(config, "short", 3, 1),
            request_of(config, "varied", 4, 7,
                       {.temperature = 0.8F, .min_p = 0.05F, .repetition_penalty = 1.3F})};
}

inline void expect_same(std::vector<model::GenerateResult> const& found,
                        std::vector<model::GenerateResult> const& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        SCOPED_TRACE("request " + std::to_string(i));
        EXPECT_EQ(found[i].tokens, wanted[i].tokens);
        EXPECT_EQ(found[i].reason, wanted[i].reason);
        EXPECT_EQ(found[i].text_end, wanted[i].text_end);
        // The sum of a row may be rounded in parts, or as a whole.
        EXPECT_THAT(found[i].logprobs,
                    ::testing::Pointwise(::testing::FloatNear(1e-4F), wanted[i].logprobs));
        ASSERT_EQ(found[i].top_logprobs.size(), wanted[i].top_logprobs.size());
        for (std::size_t t = 0; t < wanted[i].top_logprobs.size(); ++t) {
            auto const& top = wanted[i].top_logprobs[t];
            ASSERT_EQ(found[i].top_logprobs[t].size(), top.size());
            for (std::size_t n = 0; n < top.size(); ++n) {
                EXPECT_EQ(found[i].top_logprobs[t][n].token, top[n].token);
                EXPECT_NEAR(found[i].top_logprobs[t][n].logprob, top[n].logprob, 1e-4F);
            }
        }
    }
}

}  // namespace tesserank::test
