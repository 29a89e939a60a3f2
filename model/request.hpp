#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::model {

/// How the tokens of one sequence are chosen; docs/requests.md has the words.
struct SamplingOptions {
    float temperature = 0.0F;
    std::size_t top_k = 0;
    float top_p = 1.0F;
    float min_p = 0.0F;
    float repetition_penalty = 1.0F;
    std::uint64_t seed = 0;
};

/// When a sequence ends, besides reaching max_new_tokens.
struct StopOptions {
    std::vector<std::string> strings;     ///< the text is cut before the first one found
    std::vector<std::int32_t> token_ids;  ///< besides the model's end-of-text ids
    bool ignore_eos = false;              ///< the model's end-of-text ids do not end the sequence
};

/// A picture of a prompt, cut into tiles of the model's size.
struct Picture {
    std::size_t tiles = 0;
    std::vector<std::uint8_t> rgb;  ///< [tiles, side, side, 3]
};

/// Consecutive tokens of a prompt in whose place features of pictures stand.
struct Placeholders {
    std::size_t position = 0, count = 0;
    bool operator==(Placeholders const&) const = default;
};

/// The pictures of one prompt, in order, and where their features go: as many placeholders as they
/// have features.
struct PromptPictures {
    std::vector<Picture> pictures;
    std::vector<Placeholders> places;  ///< rising
};

/// One sequence to generate, checked: prompt not empty, every token in the vocabulary, prompt
/// shorter than the limit.
struct GenerateRequest {
    std::string id;
    std::vector<std::int32_t> prompt;
    PromptPictures pictures = {};
    std::size_t max_new_tokens = 0;
    SamplingOptions sampling;
    StopOptions stop;
    std::optional<std::size_t>
        top_logprobs;  ///< nullopt: no logprobs; 0: of the chosen token; n: of the n best too
};

enum class FinishReason : std::uint8_t { stop, length };

struct GenerateResult {
    std::string error = {};            ///< why there is no result; empty: there is one
    std::vector<std::int32_t> tokens;  ///< the new ones, an ending id included
    FinishReason reason = FinishReason::length;
    /// Bytes of the decoded text that stand before the stop string; nullopt unless one was found.
    std::optional<std::size_t> text_end;
    std::vector<float> logprobs;                                   ///< one per token
    std::vector<std::vector<kernels::TokenLogprob>> top_logprobs;  ///< per token, most likely first
};

/// A completion whose likelihood is asked for.
struct ScoreRequest {
    std::string id;
    std::vector<std::int32_t> prompt;  ///< not empty
    PromptPictures pictures = {};
    std::vector<std::int32_t> completion;  ///< not empty
};

struct ScoreResult {
    std::string error = {};       ///< why there is no result; empty: there is one
    std::vector<float> logprobs;  ///< of each completion token given all before it
};

}  // namespace tesserank::model
