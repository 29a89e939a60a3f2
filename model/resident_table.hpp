#pragma once

#include "kernels/resident_decode.hpp"
#include "model/chooser.hpp"
#include "model/resident_step.hpp"
#include "model/resident_terms.hpp"
#include "model/static_batch.hpp"
#include "model/transformer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model {

/// A sequence in decode as each rank's host knows it.
struct DecodingSequence {
    std::size_t index = 0;    ///< in the batch
    std::int32_t newest = 0;  ///< token, not yet in the cache
    std::size_t chosen = 0;   ///< tokens so far, with the newest
    bool ended = false;
};

/// The running sequences of a batch in the backend's memory: decode_bucket() rows, of which those
/// without a sequence have ended before they began.
class ResidentTable {
  public:
    ResidentTable(Transformer& model, StaticBatch& batch, Chooser const* chooser,
                  ResidentTerms const& terms)
        : model_{model}, batch_{batch}, chooser_{chooser}, terms_{terms} {}

    /// Begins anew with these sequences, which rise.
    void write(std::span<DecodingSequence const> running);
    /// A sequence ends in this row for a reason that the device does not know.
    void end(std::size_t row);

    /// What a step does with it that allows for contexts of so many tokens.
    ResidentStep step(std::size_t context) const;
    std::size_t rows() const { return rows_; }

    /// What a step leaves for the host, in one piece: rows, chosen tokens, most likely tokens.
    std::span<std::byte const> results() const;
    struct Results {
        std::span<kernels::DecodeRow const> rows;
        std::span<kernels::DecodeOutput const> chosen;
        std::span<kernels::TokenLogprob const> top;  ///< terms.top of each row
    };
    Results read(std::span<std::byte const> results) const;

  private:
    struct Host;
    void add_block(Host& host, std::span<DecodingSequence const> running, std::size_t rows);
    std::vector<std::size_t> candidates_of(std::span<DecodingSequence const> running,
                                           std::size_t rows) const;
    kernels::DecodeRow row_of(Host& host, DecodingSequence const& sequence) const;
    void mark_seen(std::span<DecodingSequence const> running);
    void upload(Host const& host);
    std::size_t top_count() const { return chooser_ != nullptr ? terms_.top : 0; }
    std::size_t seen_words() const;

    Transformer& model_;
    StaticBatch& batch_;
    Chooser const* chooser_;
    ResidentTerms const& terms_;
    std::size_t rows_ = 0;
    std::vector<DecodeBlock> blocks_;
};

}  // namespace tesserank::model
