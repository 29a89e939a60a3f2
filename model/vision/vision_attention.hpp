#pragma once

#include "model/forward_memory.hpp"
#include "model/module.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_context.hpp"
#include "model/vision_config.hpp"
#include "model/weight_store.hpp"

#include <cstddef>
#include <memory>

namespace tesserank::model {

/// Bytes that attention with so many heads on this rank takes of the workspace.
std::size_t vision_attention_workspace(VisionConfig const& config, std::size_t rows,
                                       std::size_t heads, TransformerOptions const& options);

/// Self-attention within each tile: qkv, optional norm of whole rows of q and k, attention without
/// a mask, output.  shard: qkv column-parallel by heads, output row-parallel, Partial out; a norm
/// of whole rows then sends two numbers for each row. split-batch: of the rank's own tiles.
/// heads: of this rank.
std::unique_ptr<Module<VisionContext>> make_vision_attention(VisionConfig const& config,
                                                             ModuleSpec const& spec,
                                                             Placement placement, std::size_t heads,
                                                             WeightStore& weights);

}  // namespace tesserank::model
