#pragma once

#include "model/generate.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model {

/// What every rank has to know of a batch, besides its sequences, to decode it on the device.
struct ResidentTerms {
    bool resident = false;   ///< else the host decides each step
    bool penalties = false;  ///< some rows have a repetition penalty
    std::size_t top = 0;     ///< most likely tokens that are read of each row
    std::vector<std::vector<std::int32_t>> stop_ids;  ///< by sequence
    std::vector<bool> stop_strings;  ///< by sequence: it may end by its text, which the host finds
};

/// How the terms travel: first the numbers, then for each sequence how many stop ids it has, and
/// those.
struct SharedTerms {
    using Numbers = std::array<std::int64_t, 4>;

    static constexpr std::size_t content_bytes(std::size_t sequences, std::size_t stop_ids) {
        return (sequences + stop_ids) * sizeof(std::int32_t);
    }
};

/// Whether the device can decode batches for this model by itself: its backend can, and what ranks
/// exchange is queued with its operations. The same on all ranks.
bool decodes_resident(Transformer& model);

/// The host decides each step of a batch when its logits are wanted, or more of each token than
/// DecodeMemory has room for.
ResidentTerms terms_of(std::span<GenerateRequest const> requests, BatchTools const& tools,
                       std::size_t vocabulary);

/// Gives rank 0's terms to every rank. Collective.
void share_terms(parallel::MpiCommunicator& ranks, ResidentTerms& terms);

}  // namespace tesserank::model
