#pragma once

#include "model/candidates.hpp"
#include "model/generate.hpp"
#include "model/sequence_state.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tesserank::model {

/// Chooses the tokens of a batch, or takes those that the device chose, and collects the results;
/// exists on the choosing rank alone.
class Chooser {
  public:
    Chooser(Transformer& model, std::span<GenerateRequest const> requests, BatchTools const& tools);

    /// Takes one row of whole logits for each of `sequences`.
    void choose(kernels::ConstTensorView logits, std::span<std::size_t const> sequences,
                std::span<Choice> choices);
    /// The same from the most likely tokens alone, which these sequences' sampling needs.
    void choose(Candidates const& candidates, std::span<std::size_t const> sequences,
                std::span<Choice> choices);

    /// Takes a chosen token, and the most likely ones of its row, of which there are at least as
    /// many as the request wants; true when it ends the sequence. A logprob that is not finite ends
    /// it with an error: so are the logits.
    bool append(std::size_t sequence, kernels::TokenLogprob chosen,
                std::span<kernels::TokenLogprob const> top);

    GenerateRequest const& request(std::size_t sequence) const { return requests_[sequence]; }
    /// Prompt and new tokens of a sequence.
    std::span<std::int32_t const> tokens_seen(std::size_t sequence) const {
        return states_[sequence].tokens_seen();
    }

    std::vector<GenerateResult> results();

  private:
    std::vector<kernels::SamplingParams> params_of(std::span<std::size_t const> sequences) const;
    /// How many of a row's most likely tokens a request wants.
    std::size_t top_of(std::size_t sequence, std::size_t columns) const;

    Transformer& model_;
    std::span<GenerateRequest const> requests_;
    BatchTools tools_;
    std::vector<SequenceState> states_;
    /// For candidates, which are in the host's memory whatever the model's backend.
    std::unique_ptr<kernels::Backend> host_ = kernels::make_reference_backend();
};

}  // namespace tesserank::model
