#pragma once

#include "kernels/resident_decode.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::model {

class Transformer;

/// Rows of a step that run together: at most max_rows.
struct DecodeBlock {
    kernels::DecodeTable table;
    parallel::Partition deal;  ///< rows by owner
    kernels::DeviceSpan<kernels::DecodeOutput> chosen;
    kernels::DeviceSpan<kernels::TokenLogprob> top;  ///< on the choosing rank
    /// For each block of at most max_logit_rows rows, how many of the most likely tokens of each
    /// rank decide; 0: the whole vocabulary does.
    std::vector<std::size_t> candidates;

    bool operator==(DecodeBlock const&) const = default;
};

/// One step of decoding on the device: the pass over the model, its collectives, the choice of
/// tokens, the end of sequences. It is all that steps of one model differ in as long as the model's
/// memory stays where it is: equal steps queue the same operations.
struct ResidentStep {
    std::vector<DecodeBlock> blocks;
    std::size_t context = 0;  ///< the most tokens that attention allows for
    // Known to all ranks, though only the choosing one's tables show them: what is equal for one
    // rank must be so for all, since they record together.
    std::size_t top = 0;     ///< most likely tokens that are read of each row
    bool penalties = false;  ///< see ResidentTerms

    /// Queues its operations and does nothing else: it can be recorded.
    void queue(Transformer& model) const;

    bool operator==(ResidentStep const&) const = default;
};

}  // namespace tesserank::model
