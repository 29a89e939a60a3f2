#include "model/forward_memory.hpp"

#include "model/attention.hpp"
#include "model/mlp.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Range;

/// Whether a module's partial sums are to be scattered into the residual stream.
bool scatters_sums(DecoderConfig const& config, PlacementPlan const& plan) {
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        for (auto const& [part, kind] :
             {std::pair("attention", ModuleKind::attention), std::pair("mlp", ModuleKind::mlp)}) {
            auto const name = layer_module(layer, part);
            if (scatters(output_of(plan.of(name), kind), plan.stream_of(name))) return true;
        }
    }
    return false;
}

std::size_t largest_module(DecoderConfig const& config, PlacementPlan const& plan,
                           TransformerOptions const& options, int rank) {
    std::size_t most = 0;
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        auto const heads =
            local_heads(config, plan.of(layer_module(layer, "attention")), rank, plan.ranks);
        auto const mlp = plan.of(layer_module(layer, "mlp"));
        std::size_t const columns = units_of(config.intermediate, mlp, rank, plan.ranks).count;
        most = std::max(
            {most, attention_workspace(config, heads, options), mlp_workspace(columns, options)});
    }
    return most;
}

void add_logits(ForwardMemory& memory, DecoderConfig const& config, PlacementPlan const& plan,
                TransformerOptions const& options, int rank) {
    auto const head = plan.of("lm_head");
    bool const shard = head == Placement::shard;
    std::size_t const columns = units_of(config.vocabulary, head, rank, plan.ranks).count;
    std::size_t const rows = options.max_logit_rows;
    if (shard) memory.local_logits = {DType::f32, rows, columns};
    bool const chooses = rank == choosing_rank;
    bool const whole = chooses || (!shard && columns > 0);
    memory.logits = {DType::f32, whole ? rows : 0, config.vocabulary};
    if (chooses && shard) memory.pieces = memory.logits;
}

}  // namespace

std::string layer_module(std::size_t layer, std::string_view part) {
    return "layers." + std::to_string(layer) + "." + std::string(part);
}

std::size_t ForwardMemory::bytes() const {
    std::size_t sum_of_all = modules + inputs;
    for (auto const& buffer : {residual, normed, delta, sum, local_logits, logits, pieces})
        sum_of_all += buffer.bytes();
    return sum_of_all;
}

ForwardMemory forward_memory(DecoderConfig const& config, PlacementPlan const& plan,
                             TransformerOptions const& options, int rank) {
    ForwardMemory::Buffer const activation{DType::f32, options.max_rows, config.hidden};
    ForwardMemory memory;
    memory.residual = memory.delta = memory.normed = activation;
    memory.normed.dtype = options.compute;
    if (scatters_sums(config, plan)) memory.sum = activation;
    memory.inputs = step_memory(config, plan, options).bytes();
    memory.modules = largest_module(config, plan, options, rank);
    add_logits(memory, config, plan, options, rank);
    return memory;
}

StepMemory::Size step_memory(DecoderConfig const& config, PlacementPlan const& plan,
                             TransformerOptions const& options) {
    return {.rows = options.max_rows, .head_dim = config.head_dim, .deals = plan.owners() > 1};
}

std::vector<CacheLayer> cache_layers(DecoderConfig const& config, PlacementPlan const& plan,
                                     int rank) {
    std::vector<CacheLayer> layers;
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        auto const placement = plan.of(layer_module(layer, "attention"));
        layers.push_back(
            {.width = local_heads(config, placement, rank, plan.ranks).kv.count * config.head_dim,
             .dealt = placement == Placement::split_batch});
    }
    return layers;
}

Range embedding_rows(DecoderConfig const& config, PlacementPlan const& plan, int rank) {
    auto const rows_for = [&](std::string_view module) {
        return units_of(config.vocabulary, plan.of(module), rank, plan.ranks);
    };
    auto const table = rows_for("embedding");
    if (!config.tied_embeddings) return table;
    auto const head = rows_for("lm_head");
    if (table.count == 0) return head;
    if (head.count == 0) return table;
    std::size_t const begin = std::min(table.begin, head.begin);
    return {begin, std::max(table.end(), head.end()) - begin};
}

}  // namespace tesserank::model
