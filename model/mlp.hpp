#pragma once

#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/module.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/text_context.hpp"
#include "model/weight_store.hpp"

#include <memory>

namespace tesserank::model {

/// Bytes that an MLP with so many columns on this rank takes of the workspace for max_rows rows.
std::size_t mlp_workspace(std::size_t columns, TransformerOptions const& options);

/// Gated MLP: down(act(gate(x)) * up(x)).  shard: gate and up column-parallel, down row-parallel,
/// Partial out.
std::unique_ptr<Module<TextContext>> make_mlp(DecoderConfig const& config, ModuleSpec const& spec,
                                              Placement placement, WeightStore& weights);

}  // namespace tesserank::model
