#include "model/plan_facts.hpp"

#include "model/decode_memory.hpp"
#include "model/held_regions.hpp"
#include "model/plan_notes.hpp"
#include "model/prefill_schedule.hpp"
#include "model/vision/vision_plan.hpp"
#include "model/vision_work.hpp"

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

/// Weights of modules, and what they take while they are loaded.
std::vector<RankFacts> weights_of(DecoderConfig const& config, PlacementPlan const& plan,
                                  WeightFormat format, std::span<ModuleSpec const> modules,
                                  DTypeOf const& dtype_of) {
    std::vector<RankFacts> ranks(static_cast<std::size_t>(plan.ranks));
    for (auto const& module : modules) {
        auto const bytes = weight_bytes_of(config, plan, format, module, dtype_of);
        auto const loading = load_bytes_of(config, plan, format, module, dtype_of);
        for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
            ranks[rank].weight_bytes += bytes[rank];
            ranks[rank].load_bytes = std::max(ranks[rank].load_bytes, loading[rank]);
        }
    }
    return ranks;
}

std::vector<EncodeFacts> encode_steps_of(DecoderConfig const& config, PlacementPlan const& plan,
                                         TransformerOptions const& options,
                                         Workload const& workload) {
    std::vector<EncodeFacts> steps;
    for (auto const& [load, count] : vision_loads_of(config, plan, options, workload)) {
        steps.push_back({load.batch, count, exchanges_of_tiles(config, plan, options, load.batch)});
    }
    return steps;
}

}  // namespace

std::size_t RankFacts::total() const {
    std::size_t const kept = weight_bytes + forward_bytes + vision_bytes - released_bytes;
    // Both buffers for loading are there from the start.
    std::size_t const loading = released_bytes + load_bytes;
    std::size_t const encoding_or_decoding = std::max(released_bytes + reload_bytes, cache_bytes);
    return kept + std::max(loading, picture_bytes + feature_bytes + encoding_or_decoding);
}

RankFacts& RankFacts::operator+=(RankFacts const& other) {
    weight_bytes += other.weight_bytes;
    load_bytes += other.load_bytes;
    cache_bytes += other.cache_bytes;
    forward_bytes += other.forward_bytes;
    vision_bytes += other.vision_bytes;
    feature_bytes += other.feature_bytes;
    picture_bytes += other.picture_bytes;
    released_bytes += other.released_bytes;
    reload_bytes += other.reload_bytes;
    return *this;
}

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

std::vector<RankFacts> text_memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                      TransformerOptions const& options, Workload const& workload,
                                      DTypeOf const& dtype_of) {
    auto ranks = weights_of(config, plan, options.weights, describe_text(config), dtype_of);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        int const number = static_cast<int>(rank);
        ranks[rank].cache_bytes = cache_bytes_of(config, plan, options, workload, number);
        ranks[rank].forward_bytes = forward_memory(config, plan, options, number).bytes();
    }
    return ranks;
}

std::vector<RankFacts> vision_memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                        TransformerOptions const& options, Workload const& workload,
                                        DTypeOf const& dtype_of) {
    auto ranks = weights_of(config, plan, options.weights, describe_vision(config), dtype_of);
    if (!config.vision) return ranks;
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        auto& facts = ranks[rank];
        facts.vision_bytes = vision_memory(config, plan, options, static_cast<int>(rank)).bytes();
        facts.feature_bytes = feature_bytes(config, workload.all_tiles());
        if (options.on_host && rank == choosing_rank) {
            facts.picture_bytes = picture_bytes(*config.vision, workload.all_tiles());
        }
        if (options.vision.keep) continue;
        facts.released_bytes = facts.weight_bytes + facts.vision_bytes;
        facts.reload_bytes = facts.load_bytes;
    }
    return ranks;
}

std::vector<RankFacts> memory_of(DecoderConfig const& config, PlacementPlan const& plan,
                                 TransformerOptions const& options, Workload const& workload,
                                 DTypeOf const& dtype_of) {
    auto ranks = text_memory_of(config, plan, options, workload, dtype_of);
    auto const vision = vision_memory_of(config, plan, options, workload, dtype_of);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) ranks[rank] += vision[rank];
    return ranks;
}

PlanFacts facts_of(DecoderConfig const& config, PlacementPlan const& plan,
                   TransformerOptions const& options, Workload const& workload,
                   DTypeOf const& dtype_of) {
    PlanFacts facts{
        .plan = plan,
        .workload = workload,
        .modules = {},
        .ranks = memory_of(config, plan, options, workload, dtype_of),
        .start = exchanges_of_start(plan.ranks, options,
                                    {.sequences = workload.batch,
                                     .tokens = workload.batch * workload.prompt,
                                     .stop_ids = workload.batch * workload.stop_ids,
                                     .places = workload.tiles > 0 ? workload.batch : 0}),
        .encode = encode_steps_of(config, plan, options, workload),
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
    add_notes(facts);
    if (!options.on_host && workload.tiles > 0) {
        facts.notes.push_back("rank 0 has the decoded pictures of a batch in the host's memory, " +
                              std::to_string(picture_bytes(*config.vision, workload.all_tiles())) +
                              " bytes");
    }
    return facts;
}

}  // namespace tesserank::model
