#pragma once

#include "model/decoder_config.hpp"
#include "model/step.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::model {

/// One sequence of a batch, as every rank knows it.
struct Sequence {
    std::vector<std::int32_t> prompt;  ///< not empty
    std::size_t max_new_tokens = 0;
    std::size_t first_output = 0;  ///< logits are wanted from this position of the prompt on
    std::size_t length = 0;        ///< that dynamic_ntk turns by; 0: the prompt's
};

/// A fixed set of sequences: where each one's keys and values lie, how far it has come, and the
/// steps that bring it further. The same on all ranks.
class StaticBatch {
  public:
    StaticBatch(DecoderConfig const& config, std::vector<Sequence> sequences);

    /// Rows of KV cache that the batch needs.
    std::size_t cache_tokens() const { return cache_tokens_; }

    /// A row of a step whose logits are wanted.
    struct Output {
        std::size_t sequence = 0;
        std::size_t position = 0;
    };
    struct PrefillStep {
        Step step;
        std::vector<std::size_t> output_rows;
        std::vector<Output> outputs;  ///< by output row
    };

    /// The next at most `max_rows` prompt tokens, packed without padding; a long prompt spans
    /// several steps, and a step may hold pieces of several prompts. Empty (no ids) when all
    /// prompts are done.
    PrefillStep next_prefill(std::size_t max_rows);

    /// One token of each given sequence, in order: `tokens[i]` is appended to sequence
    /// `running[i]`.
    Step decode(std::span<std::size_t const> running, std::span<std::int32_t const> tokens);

  private:
    void append_row(Step& step, std::size_t index, std::int32_t token, std::size_t position);

    DecoderConfig const& config_;
    std::vector<Sequence> sequences_;
    std::vector<std::size_t> cache_rows_, lengths_;
    std::vector<std::vector<float>>
        frequencies_;  ///< one for all, or by sequence when they depend on its length
    std::size_t cache_tokens_ = 0;
    std::size_t prefilling_ = 0;
};

}  // namespace tesserank::model
