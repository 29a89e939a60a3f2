#pragma once

#include "kernels/backend.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model {

/// The tokens of one forward pass: a chunk of prompts, or one token of each running sequence. The
/// same on all ranks.
struct Step {
    enum class Phase : std::uint8_t { prefill, decode };

    Phase phase = Phase::prefill;
    std::vector<std::int32_t> ids;           ///< [T]
    std::vector<kernels::Segment> segments;  ///< cover the T rows, in order
    std::vector<float> cos_sin;              ///< [T, D]: D/2 cosines, then D/2 sines, by row
};

}  // namespace tesserank::model
