#pragma once

#include "io/model_file/model_index.hpp"
#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/placement.hpp"
#include "model/plan_facts.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::app {

/// The word for the best plan that a search finds.
inline constexpr std::string_view automatic = "auto";

/// What --placement takes.
inline constexpr char const* placement_help =
    "a preset (shard, replicate, split-batch, replicate-attention, split-batch-attention), auto "
    "(the best that is found), rules such as '*.attention=replicate,lm_head=single:0', or a plan "
    "file";

/// Configs, plans and machines are JSON files of a few megabytes at most; a longer one is a
/// mistake.
inline constexpr std::size_t most_json_bytes = std::size_t{64} << 20;

/// Whether this is the path of a plan file, not a preset or rules.
bool names_plan_file(std::string const& wish);

/// The plan that stands behind --placement other than auto: a preset, rules, or the path of a plan
/// file. Errors: InputError naming the rule, or the file and the place in it.
model::PlacementPlan plan_for(model::DecoderConfig const& config, std::string const& wish,
                              int ranks, kernels::DType compute);

/// What --weights takes.
inline constexpr char const* weights_help =
    "how the weights of the linear layers in attention and MLP are held: file (as stored) or fp8";

/// Of --weights. Errors: UsageError for another word.
model::WeightFormat weight_format_of(std::string_view word);

/// What a command line says of precision.
struct Precision {
    kernels::DType compute = kernels::DType::f32;
    model::WeightFormat weights = model::WeightFormat::file;
};

/// The bounds of a forward pass with so many prompt tokens at once: the same for `plan` and for the
/// commands that run.
model::TransformerOptions forward_options(model::DecoderConfig const& config, Precision precision,
                                          std::size_t prefill_chunk);

/// The same bounds with what GPUs make possible: modules keep to themselves what they compute with,
/// pictures lie in other memory, and where `queued` messages travel with the device's work,
/// decoding is resident.
model::TransformerOptions options_on_gpus(model::TransformerOptions bounds, bool queued);

/// Errors: InputError for a batch beyond what a plan is made for: 65536 sequences, 2^30 tokens.
void check_workload(model::Workload const& workload);

/// Tiles of the picture in a usual prompt: one, or none for a model without a vision encoder or
/// without room for its features in half of its context.
std::size_t usual_tiles(model::DecoderConfig const& config);
/// The tokens of a prompt in whose place the features of so many tiles stand.
std::size_t feature_tokens(model::DecoderConfig const& config, std::size_t tiles);

/// The config that a model file holds. Errors: InputError naming the file and the key.
model::DecoderConfig config_of(io::ModelIndex const& index);

/// The dtype of each tensor in a model file; InputError for one that is missing.
model::DTypeOf dtypes_of(io::ModelIndex const& index);

/// What `plan` needs of a model: no weights.
struct PlannedModel {
    model::DecoderConfig config;
    model::DTypeOf dtype_of;
    std::string title;
};

/// From a model file, a config.json, or a folder with one. Errors: InputError.
PlannedModel open_for_planning(std::string const& path);

/// The same in steps, where one rank reads and all know.
struct ConfigText {
    std::string path, text;
};
/// nullopt where `path` can only be a model file.
std::optional<ConfigText> read_config_text(std::string const& path);
PlannedModel planned_from(ConfigText const& config_text);
PlannedModel planned_from(io::ModelIndex const& index);

}  // namespace tesserank::app
