#pragma once

#include "model/decoder_config.hpp"
#include "model/prefill_schedule.hpp"
#include "model/request.hpp"
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
    /// How many of the most likely tokens decide which one is chosen; 0: the whole vocabulary.
    std::size_t candidates = 0;
    std::vector<Placeholders> places = {};  ///< of features in the prompt, rising

    /// How many features stand in the prompt.
    std::size_t features() const;
};

/// Rows of KV cache that a batch needs.
struct CacheRows {
    std::size_t all = 0;             ///< of every sequence
    std::vector<std::size_t> dealt;  ///< of the sequences of each owner
};

/// A fixed set of sequences: where each one's keys and values lie, how far it has come, and the
/// steps that bring it further. The same on all ranks.
class StaticBatch {
  public:
    /// The sequences are dealt out over `owners` ranks in runs as equal as can be; one owner where
    /// nothing is dealt out.
    StaticBatch(DecoderConfig const& config, std::vector<Sequence> sequences, int owners = 1);

    Sequence const& sequence(std::size_t index) const { return sequences_[index]; }
    CacheRows cache_rows() const;

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
    /// several steps, and a step may hold pieces of several prompts (see PrefillSchedule). Empty
    /// (no ids) when all prompts are done.
    PrefillStep next_prefill(std::size_t max_rows);

    /// One token of each given sequence, in order: `tokens[i]` is appended to sequence
    /// `running[i]`. The sequences rise.
    Step decode(std::span<std::size_t const> running, std::span<std::int32_t const> tokens);

    /// What has run so far of a sequence that was decoded by other means: its tokens in the cache.
    void set_length(std::size_t index, std::size_t tokens) { lengths_[index] = tokens; }
    std::size_t length(std::size_t index) const { return lengths_[index]; }

    /// The rotation frequencies of all sequences: one row, or one of each.
    std::vector<std::vector<float>> const& frequencies() const { return frequencies_; }
    std::size_t size() const { return sequences_.size(); }
    /// Of all prompts, one behind the other in the order of the sequences.
    std::size_t features() const { return first_feature_.back(); }
    /// Whether some sequence gets new tokens.
    bool generates() const;

  private:
    Step empty_step(Step::Phase phase) const;
    void append_piece(Step& step, std::size_t index, int owner, std::size_t tokens);
    void append_features(Step& step, std::size_t index, std::size_t tokens) const;
    void append_row(Step& step, std::size_t index, std::int32_t token, std::size_t position);

    DecoderConfig const& config_;
    std::vector<Sequence> sequences_;
    PrefillSchedule schedule_;
    std::vector<std::size_t> first_row_;      ///< of each sequence in the cache, and the end
    std::vector<std::size_t> first_feature_;  ///< of each sequence, and the end
    std::vector<std::size_t> lengths_;        ///< tokens in the cache
    std::vector<std::vector<float>>
        frequencies_;  ///< one for all, or by sequence when they depend on its length
};

}  // namespace tesserank::model
