#include "model/plan_facts.hpp"

#include "model/decode_memory.hpp"
#include "model/held_regions.hpp"
#include "model/prefill_schedule.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using parallel::Range;

std::vector<Range> units_by_rank(ModuleSpec const& module, Placement placement, int ranks) {
    std::vector<Range> units;
    units.reserve(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
        units.push_back(units_of(module.units, placement, rank, ranks));
    }
    return units;
}

ModuleFacts module_facts(DecoderConfig const& config, PlacementPlan const& plan,
                         WeightFormat format, ModuleSpec const& module, DTypeOf const& dtype_of) {
    auto const placement = plan.of(module.name);
    return {
        .name = module.name,
        .kind = module.kind,
        .placement = placement,
        .input = input_of(placement),
        .output = output_of(placement, module.kind),
        .stream = module.has_stream() ? std::optional(plan.stream_of(module.name)) : std::nullopt,
        .units = units_by_rank(module, placement, plan.ranks),
        .weight_bytes = weight_bytes_of(config, plan, format, module, dtype_of)};
}

/// Equal shapes, which follow each other, become one step with a count.
std::vector<StepFacts> steps_of(DecoderConfig const& config, PlacementPlan const& plan,
                                TransformerOptions const& options,
                                std::vector<StepShape> const& shapes) {
    std::vector<StepFacts> steps;
    for (auto const& shape : shapes) {
        auto const found = std::ranges::find(steps, shape, &StepFacts::shape);
        if (found == steps.end()) {
            steps.push_back({shape, 1, exchanges_of(config, plan, options, shape)});
        } else {
            ++found->count;
        }
    }
    return steps;
}

std::size_t cache_bytes_of(DecoderConfig const& config, PlacementPlan const& plan,
                           TransformerOptions const& options, Workload const& workload, int rank) {
    std::size_t const own =
        parallel::Partition(workload.batch, plan.owners()).count(plan.owner_of(rank));
    std::size_t const length = workload.prompt + workload.new_tokens;
    return cache_bytes(cache_layers(config, plan, rank), options.compute, workload.batch * length,
                       own * length) +
           decode_size(config, plan, options, workload.batch, rank).bytes();
}

/// What a module's weights take before they are quantised, by rank.
std::vector<std::size_t> load_bytes_of(DecoderConfig const& config, PlacementPlan const& plan,
                                       WeightFormat format, ModuleSpec const& module,
                                       DTypeOf const& dtype_of) {
    std::vector<std::size_t> bytes(static_cast<std::size_t>(plan.ranks), 0);
    for (auto const role : {Role::qkv, Role::output, Role::gate_up, Role::up, Role::down}) {
        if (!is_quantised(format, role)) continue;
        auto part = module;
        std::erase_if(part.weights, [&](WeightSpec const& weight) { return weight.role != role; });
        auto const stored = weight_bytes_of(config, plan, WeightFormat::file, part, dtype_of);
        for (std::size_t rank = 0; rank < bytes.size(); ++rank) {
            bytes[rank] += bytes_waiting(stored[rank]);
        }
    }
    return bytes;
}

/// Names of modules that differ in their layer's number alone, with a star for it.
std::string pattern_of(std::string_view name) {
    auto const layer = layer_of(name);
    if (!layer) return std::string(name);
    return std::string(layer->stack) + "*." + std::string(layer->part);
}

void note_idle_ranks(PlanFacts& facts) {
    std::vector<std::string> patterns;
    for (auto const& module : facts.modules) {
        bool const surplus = module.placement == Placement::shard && module.idle_ranks() > 0;
        if (!surplus) continue;
        auto const pattern = pattern_of(module.name);
        if (std::ranges::find(patterns, pattern) != patterns.end()) continue;
        patterns.push_back(pattern);
        facts.notes.push_back(pattern + " has fewer units than there are ranks: " +
                              std::to_string(module.idle_ranks()) + " of " +
                              std::to_string(facts.plan.ranks) + " ranks idle in it");
    }
}

void note_single_ranks(PlanFacts& facts) {
    std::vector<int> path;
    for (auto const& module : facts.modules) {
        bool const single = module.placement.kind == Placement::Kind::single;
        if (single && (path.empty() || path.back() != module.placement.rank)) {
            path.push_back(module.placement.rank);
        }
    }
    if (path.size() < 2) return;
    std::string text = "a pipeline without overlap: one rank works at a time, along ranks";
    for (std::size_t i = 0; i < std::min<std::size_t>(path.size(), 16); ++i) {
        text += " " + std::to_string(path[i]);
    }
    facts.notes.push_back(text + (path.size() > 16 ? " ..." : ""));
}

void note_unowned_sequences(PlanFacts& facts) {
    auto const ranks = static_cast<std::size_t>(facts.plan.ranks);
    if (!facts.plan.deals_sequences() || facts.workload.batch >= ranks) return;
    facts.notes.push_back("a batch of " + std::to_string(facts.workload.batch) + " leaves " +
                          std::to_string(ranks - facts.workload.batch) +
                          " rank(s) without a sequence in split-batch modules");
}

}  // namespace

std::size_t ModuleFacts::idle_ranks() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(units, [](Range const& range) { return range.count == 0; }));
}

std::vector<StepShape> prefill_shapes(Workload const& workload, int owners, std::size_t max_rows) {
    std::vector<StepShape> shapes;
    PrefillSchedule schedule(std::vector(workload.batch, workload.prompt), owners);
    for (auto pieces = schedule.next(max_rows); !pieces.empty(); pieces = schedule.next(max_rows)) {
        StepShape shape{.candidates = workload.candidates};
        for (auto const& piece : pieces) {
            shape.rows += piece.tokens;
            if (piece.first + piece.tokens == workload.prompt) ++shape.outputs;
        }
        shapes.push_back(shape);
    }
    return shapes;
}

std::vector<StepShape> decode_shapes(Workload const& workload, TransformerOptions const& options) {
    std::vector<StepShape> shapes;
    std::size_t const all = options.resident ? decode_bucket(workload.batch) : workload.batch;
    for (std::size_t first = 0; first < all; first += options.max_rows) {
        std::size_t const rows = std::min(options.max_rows, all - first);
        shapes.push_back({.rows = rows,
                          .outputs = rows,
                          .candidates = workload.candidates,
                          .resident = options.resident});
    }
    return shapes;
}

std::vector<std::size_t> weight_bytes_of(DecoderConfig const& config, PlacementPlan const& plan,
                                         WeightFormat format, ModuleSpec const& module,
                                         DTypeOf const& dtype_of) {
    std::vector<std::size_t> bytes(static_cast<std::size_t>(plan.ranks), 0);
    for (auto const& weight : module.weights) {
        auto const regions = regions_held(config, plan, module, weight);
        auto const stored = dtype_of(weight.tensor);
        for (std::size_t rank = 0; rank < bytes.size(); ++rank) {
            auto const& [rows, cols] = regions[rank];
            bytes[rank] += bytes_held(format, weight, stored, rows.count, cols.count);
        }
    }
    return bytes;
}

std::vector<RankFacts> memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                 TransformerOptions const& options, Workload const& workload,
                                 DTypeOf const& dtype_of) {
    std::vector<RankFacts> ranks(static_cast<std::size_t>(plan.ranks));
    for (auto const& module : describe_modules(config)) {
        auto const bytes = weight_bytes_of(config, plan, options.weights, module, dtype_of);
        auto const loading = load_bytes_of(config, plan, options.weights, module, dtype_of);
        for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
            ranks[rank].weight_bytes += bytes[rank];
            ranks[rank].load_bytes = std::max(ranks[rank].load_bytes, loading[rank]);
        }
    }
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        int const number = static_cast<int>(rank);
        ranks[rank].cache_bytes = cache_bytes_of(config, plan, options, workload, number);
        ranks[rank].forward_bytes = forward_memory(config, plan, options, number).bytes();
    }
    return ranks;
}

PlanFacts facts_of(DecoderConfig const& config, PlacementPlan const& plan,
                   TransformerOptions const& options, Workload const& workload,
                   DTypeOf const& dtype_of) {
    PlanFacts facts{.plan = plan,
                    .workload = workload,
                    .modules = {},
                    .ranks = memory_of(config, plan, options, workload, dtype_of),
                    .start = exchanges_of_start(plan.ranks, options,
                                                {.sequences = workload.batch,
                                                 .tokens = workload.batch * workload.prompt,
                                                 .stop_ids = workload.batch * workload.stop_ids}),
                    .prefill = {},
                    .decode = {},
                    .backend = {},
                    .notes = {}};
    for (auto const& module : describe_modules(config)) {
        facts.modules.push_back(module_facts(config, plan, options.weights, module, dtype_of));
    }
    facts.prefill =
        steps_of(config, plan, options, prefill_shapes(workload, plan.owners(), options.max_rows));
    // The last prompt step gives the first new token.
    if (workload.new_tokens > 1) {
        facts.decode = steps_of(config, plan, options, decode_shapes(workload, options));
        for (auto& step : facts.decode) step.count *= workload.new_tokens - 1;
    }
    note_idle_ranks(facts);
    note_single_ranks(facts);
    note_unowned_sequences(facts);
    return facts;
}

}  // namespace tesserank::model
