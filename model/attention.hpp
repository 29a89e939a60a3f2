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

/// The heads of one rank: a run of query heads and the kv heads that they need.
struct LocalHeads {
    parallel::Range query, kv;
};
LocalHeads local_heads(DecoderConfig const& config, Placement placement, int rank, int ranks);

/// Bytes that attention takes of the workspace for max_rows rows.
std::size_t attention_workspace(DecoderConfig const& config, LocalHeads const& heads,
                                TransformerOptions const& options);

/// Self-attention with its KV cache: qkv, optional norm of q and k by head, rotation, causal
/// attention, output. shard: qkv column-parallel by heads, output row-parallel, Partial out; the KV
/// cache holds the rank's kv heads. split-batch: the cache holds the sequences that the rank owns.
std::unique_ptr<Module<TextContext>> make_attention(DecoderConfig const& config, std::size_t layer,
                                                    ModuleSpec const& spec, Placement placement,
                                                    LocalHeads heads, WeightStore& weights);

}  // namespace tesserank::model
