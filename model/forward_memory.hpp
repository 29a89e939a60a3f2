#pragma once

#include "kernels/backend.hpp"
#include "model/decoder_config.hpp"
#include "model/device_step.hpp"
#include "model/kv_cache.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_options.hpp"
#include "model/weight_format.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// What bounds a forward pass and the precision of its weights and of what it computes.
struct TransformerOptions {
    kernels::DType compute =
        kernels::DType::f32;  ///< what GEMMs read and the KV cache holds: f32 or bf16
    /// What GEMMs write that modules keep to themselves: f32, or bf16 where halving those bytes
    /// pays.
    kernels::DType inner = kernels::DType::f32;
    WeightFormat weights = WeightFormat::file;
    /// The device keeps the state of running sequences and decodes without waiting for the host.
    bool resident = false;
    /// The backend's memory is the host's, so that decoded pictures take of it too.
    bool on_host = true;
    /// Its steps are recorded for contexts of so many tokens, or twice, four times as many: shorter
    /// ones would differ too little to be worth their time.
    std::size_t shortest_context = 256;
    /// For the search for a mistake: after each module, look whether its output is finite. Not
    /// where decoding is resident.
    bool check_finite = false;
    std::size_t max_rows = 512;       ///< most tokens of one step
    std::size_t max_logit_rows = 64;  ///< most rows of logits at once
    VisionOptions vision = {};
};

/// The rank that gets the logits and chooses tokens.
inline constexpr int choosing_rank = 0;

/// The memory of a forward pass on one rank besides weights and KV cache: what a Transformer
/// allocates once, and what a plan states.
struct ForwardMemory {
    struct Buffer {
        kernels::DType dtype = kernels::DType::f32;
        std::size_t rows = 0, cols = 0;
        std::size_t bytes() const { return rows * cols * kernels::size_of(dtype); }
    };

    Buffer residual, normed, delta;
    Buffer sum;               ///< what a reduce-scatter gives
    Buffer local_logits;      ///< of this rank's part of a sharded vocabulary
    Buffer logits;            ///< over the whole vocabulary
    Buffer pieces;            ///< logits of all ranks on their way to where they are joined
    std::size_t inputs = 0;   ///< bytes of a step's ids, segments and rotations
    std::size_t modules = 0;  ///< bytes that the most demanding module needs for its inner values

    std::size_t bytes() const;
};

ForwardMemory forward_memory(DecoderConfig const& config, PlacementPlan const& plan,
                             TransformerOptions const& options, int rank);

/// Room for the inputs of a step of max_rows rows.
StepMemory::Size step_memory(DecoderConfig const& config, PlacementPlan const& plan,
                             TransformerOptions const& options);

/// What each layer's attention keeps of a token on this rank.
std::vector<CacheLayer> cache_layers(DecoderConfig const& config, PlacementPlan const& plan,
                                     int rank);

/// Rows of the embedding table that this rank holds: of a tied model those that embedding or
/// lm_head need, in one piece.
parallel::Range embedding_rows(DecoderConfig const& config, PlacementPlan const& plan, int rank);

/// "layers.3.attention"
std::string layer_module(std::size_t layer, std::string_view part);

}  // namespace tesserank::model
