#pragma once

#include "kernels/backend.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::model {

/// Rows of a step that take features of pictures in place of what their tokens embed to.
struct FeatureRows {
    std::size_t row = 0, count = 0;
    std::size_t feature = 0;  ///< of the first row, among those of the whole batch
    bool operator==(FeatureRows const&) const = default;
};

/// The tokens of one forward pass: a chunk of prompts, or one token of each running sequence. The
/// same on all ranks.
struct Step {
    enum class Phase : std::uint8_t { prefill, decode };

    Phase phase = Phase::prefill;
    std::vector<std::int32_t> ids;           ///< [T]
    std::vector<kernels::Segment> segments;  ///< cover the T rows, in order
    std::vector<float> cos_sin;              ///< [T, D]: D/2 cosines, then D/2 sines, by row
    std::vector<FeatureRows> features;       ///< apart from each other

    /// The same pieces by the rank that owns their sequence, as it sees them: rows count from its
    /// own first one, cache rows from its own first sequence. One owner where none is dealt out.
    std::vector<std::vector<kernels::Segment>> dealt;

    /// Rows by owner; they lie one owner behind the other.
    parallel::Partition rows_by_owner() const {
        std::vector<std::size_t> shares(dealt.size());
        for (std::size_t owner = 0; owner < dealt.size(); ++owner) {
            for (auto const& segment : dealt[owner]) shares[owner] += segment.tokens;
        }
        return parallel::Partition::of_shares(shares);
    }
};

}  // namespace tesserank::model
