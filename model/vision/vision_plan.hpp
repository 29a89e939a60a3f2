#pragma once

#include "model/decoder_config.hpp"
#include "model/exchange.hpp"
#include "model/forward_memory.hpp"
#include "model/placement.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// The memory of a vision encoder on one rank besides its weights: what a VisionEncoder allocates
/// once, and what a plan states.
struct VisionMemory {
    using Buffer = ForwardMemory::Buffer;

    Buffer residual, normed, delta;
    Buffer sum;  ///< what a reduce-scatter gives
    std::size_t positions =
        0;                     ///< bytes of a table for the tiles' grid, where it is not the file's
    std::size_t segments = 0;  ///< bytes of a segment for each tile
    std::size_t modules = 0;   ///< bytes that the most demanding module needs for its inner values

    std::size_t bytes() const;
};

/// Of a model with a vision encoder.
VisionMemory vision_memory(DecoderConfig const& config, PlacementPlan const& plan,
                           TransformerOptions const& options, int rank);

/// What the features of so many tiles take on every rank.
std::size_t feature_bytes(DecoderConfig const& config, std::size_t tiles);

/// What so many decoded tiles take of rank 0's host memory, with the one that is being scaled.
std::size_t picture_bytes(VisionConfig const& config, std::size_t tiles);

/// How many tiles are encoded at once, at most: as many as the options say, or those of about 4096
/// rows, and a whole number for each rank where the plan deals tiles out.
std::size_t tiles_at_once(VisionConfig const& config, PlacementPlan const& plan,
                          VisionOptions const& options);

/// Into how many at once so many tiles are parted, in order.
std::vector<std::size_t> tile_chunks(std::size_t tiles, std::size_t at_once);

/// Every collective of encoding so many tiles at once, in order, as a VisionEncoder makes them;
/// their pixels come from rank 0, their features go to every rank. Empty on one rank.
std::vector<Exchange> exchanges_of_tiles(DecoderConfig const& config, PlacementPlan const& plan,
                                         TransformerOptions const& options, std::size_t tiles);

/// "vision.layers.3.attention"
std::string vision_layer_module(std::size_t layer, std::string_view part);

}  // namespace tesserank::model
