#pragma once

#include "kernels/dtype.hpp"
#include "model/decoder_config.hpp"
#include "model/exchange.hpp"
#include "model/forward_memory.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// A static batch as a plan sees it: all sequences alike.
struct Workload {
    std::size_t batch = 1;
    std::size_t prompt = 128;
    std::size_t new_tokens = 128;
    std::size_t candidates = 1;  ///< 1: greedy; see candidates_for()
    std::size_t stop_ids = 0;    ///< that end each sequence
    std::size_t tiles = 0;       ///< of the one picture that each prompt has; their features are
                                 ///< among the prompt's tokens

    std::size_t all_tiles() const { return batch * tiles; }
};

/// What a plan says of one module.
struct ModuleFacts {
    std::string name;
    ModuleKind kind = ModuleKind::norm;
    Placement placement;
    parallel::LayoutKind input, output;
    std::optional<parallel::LayoutKind> stream;  ///< of attention and MLP
    std::vector<parallel::Range> units;          ///< by rank: those that it computes
    std::vector<std::size_t> weight_bytes;       ///< by rank

    /// Ranks that have no unit of it.
    std::size_t idle_ranks() const;
};

struct RankFacts {
    std::size_t weight_bytes = 0;
    std::size_t load_bytes = 0;   ///< beside the weights while they are loaded, before the cache
    std::size_t cache_bytes = 0;  ///< keys and values, and the state of resident decoding
    std::size_t forward_bytes = 0;
    std::size_t vision_bytes = 0;   ///< the vision encoder's workspace
    std::size_t feature_bytes = 0;  ///< of all pictures of the batch
    std::size_t picture_bytes = 0;  ///< the decoded tiles of the batch, where the backend's memory
                                    ///< is the host's; on rank 0
    /// Of weights and vision_bytes, what is there only while keys and values are not: of an encoder
    /// that is not kept.
    std::size_t released_bytes = 0;
    std::size_t reload_bytes = 0;  ///< of load_bytes, what such an encoder takes again each time

    /// At the same time, at most.
    std::size_t total() const;
    RankFacts& operator+=(RankFacts const& other);
    bool operator==(RankFacts const&) const = default;
};

/// Equal forward passes.
struct StepFacts {
    StepShape shape;
    std::size_t count = 0;  ///< how often in a batch
    std::vector<Exchange> exchanges;
};

/// Equal passes of the vision encoder.
struct EncodeFacts {
    std::size_t tiles = 0;  ///< of one pass
    std::size_t count = 0;  ///< how often in a batch
    std::vector<Exchange> exchanges;
};

/// Everything about a plan that follows from the config alone, to the byte.
struct PlanFacts {
    PlacementPlan plan;
    Workload workload;
    std::vector<ModuleFacts> modules;
    std::vector<RankFacts> ranks;
    std::vector<Exchange> start;  ///< of a batch
    std::vector<EncodeFacts> encode;
    std::vector<StepFacts> prefill, decode;
    std::string backend;             ///< that the run is planned for, where it is known
    std::vector<std::string> notes;  ///< idle ranks, a pipeline: what a reader should know
};

/// The dtype of a tensor in the model file.
using DTypeOf = std::function<kernels::DType(std::string_view tensor)>;

PlanFacts facts_of(DecoderConfig const& config, PlacementPlan const& plan,
                   TransformerOptions const& options, Workload const& workload,
                   DTypeOf const& dtype_of);

/// The memory of each rank.
std::vector<RankFacts> memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                 TransformerOptions const& options, Workload const& workload,
                                 DTypeOf const& dtype_of);
/// The parts of it, which add up: for the text model, for whose modules alone the plan may be; and
/// for the vision encoder, all zero where there is none.
std::vector<RankFacts> text_memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                      TransformerOptions const& options, Workload const& workload,
                                      DTypeOf const& dtype_of);
std::vector<RankFacts> vision_memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                        TransformerOptions const& options, Workload const& workload,
                                        DTypeOf const& dtype_of);

/// What a batch of this workload runs: all its prefill steps, and the decode steps of one token;
/// those of resident decoding have decode_bucket() rows.
std::vector<StepShape> prefill_shapes(Workload const& workload, int owners, std::size_t max_rows);
std::vector<StepShape> decode_shapes(Workload const& workload, TransformerOptions const& options);

/// Bytes of weights that each rank holds of a module; of tied embeddings the embedding holds all.
std::vector<std::size_t> weight_bytes_of(DecoderConfig const& config, PlacementPlan const& plan,
                                         WeightFormat format, ModuleSpec const& module,
                                         DTypeOf const& dtype_of);

}  // namespace tesserank::model
