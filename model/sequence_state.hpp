#pragma once

#include "model/request.hpp"
#include "model/text_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

/// One running sequence on the rank that chooses tokens: draws, collects and decides when it ends.
class SequenceState {
  public:
    /// `stream` is needed only when the request has stop strings; it may be null otherwise.
    SequenceState(GenerateRequest const& request, std::span<std::int32_t const> eos_ids,
                  std::unique_ptr<TextStream> stream);

    /// How the next token is chosen; the draw depends on seed, request id and the number of tokens
    /// so far alone.
    kernels::SamplingParams next_sampling() const;

    /// Takes the next token; true when it ends the sequence.
    bool append(kernels::TokenLogprob chosen, std::vector<kernels::TokenLogprob> top);

    /// Ends the sequence without a result.
    void fail(std::string error);

    /// Prompt and new tokens.
    std::span<std::int32_t const> tokens_seen() const { return seen_; }

    GenerateResult take_result() { return std::move(result_); }

  private:
    bool found_stop_string(std::string const& new_text);

    GenerateRequest const& request_;
    std::span<std::int32_t const> eos_ids_;
    std::unique_ptr<TextStream> stream_;
    std::vector<std::int32_t> seen_;  ///< prompt and new tokens, for the repetition penalty
    std::string text_;
    GenerateResult result_;
};

}  // namespace tesserank::model
