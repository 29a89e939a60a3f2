#pragma once

#include <array>
#include <cstddef>

namespace tesserank::model {

/// How pictures are encoded; the same on all ranks.
struct VisionOptions {
    /// A channel's value v of 0 .. 255 becomes (v / 255 - mean) / deviation.
    std::array<float, 3> mean{0.485F, 0.456F, 0.406F}, deviation{0.229F, 0.224F, 0.225F};
    std::size_t max_tiles = 0;  ///< most tiles at once; 0: see tiles_at_once()
    /// The encoder's weights and workspace stay between batches. Else each batch with pictures
    /// loads them again, and they make room for its keys and values.
    bool keep = true;
};

}  // namespace tesserank::model
