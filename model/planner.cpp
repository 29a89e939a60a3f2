#include "model/planner.hpp"

#include "kernels/error.hpp"
#include "model/attention.hpp"
#include "model/decode_memory.hpp"
#include "model/placement_rules.hpp"
#include "model/plan_choice.hpp"
#include "model/residual_route.hpp"
#include "model/vision_planner.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace tesserank::model {
namespace {

/// The search over all plans, and over those that place modules of a kind alike.
class Planner {
  public:
    explicit Planner(PlannerInput const& input)
        : input_{input},
          modules_{describe_text(input.model.config)},
          visions_{rank_vision_plans(input)},
          vision_memory_{memory_of_visions()},
          predictor_{input.machine, input.model, input.workload} {}

    std::vector<RankedPlan> best(std::size_t count) const {
        std::vector<RankedPlan> found;
        if (auto plan = freest()) found.push_back(ranked(std::move(*plan)));
        for (auto& plan : plans_by_kind()) found.push_back(ranked(std::move(plan)));
        return choose_plans(
            {.texts = found,
             .text_memory = [this](PlacementPlan const& plan) { return text_memory(plan); },
             .visions = visions_,
             .vision_memory = vision_memory_,
             .bytes_per_rank = input_.bytes_per_rank},
            count);
    }

  private:
    int ranks() const { return input_.model.ranks; }

    RankedPlan ranked(PlacementPlan plan) const {
        auto const prefill = predictor_.cost_of(plan, Step::Phase::prefill);
        auto const decode = predictor_.cost_of(plan, Step::Phase::decode);
        return {std::move(plan), {}, prefill, decode};
    }

    PlanMemory text_memory(PlacementPlan const& plan) const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        return text_memory_of(config, plan, options, input_.workload, dtype_of);
    }

    std::vector<PlanMemory> memory_of_visions() const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        std::vector<PlanMemory> memory;
        memory.reserve(visions_.size());
        for (auto const& vision : visions_) {
            memory.push_back(
                vision_memory_of(config, vision.plan, options, input_.workload, dtype_of));
        }
        return memory;
    }

    /// Of the encoder's plans the one that takes least on its largest rank.
    PlanMemory const& leanest_vision() const {
        return *std::ranges::min_element(vision_memory_, {}, [](PlanMemory const& memory) {
            return std::ranges::max(memory, {}, &RankFacts::total).total();
        });
    }

    bool fits(std::size_t bytes) const {
        return !input_.bytes_per_rank || bytes <= *input_.bytes_per_rank;
    }

    std::optional<PlacementPlan> route(std::vector<RouteStop> const& stops,
                                       std::optional<RouteMemory> const& memory = {}) const {
        auto plan = cheapest_route(stops, ranks(), predictor_.batch_costs(), memory);
        if (!plan) return std::nullopt;
        replicate_norms(*plan, modules_);
        return plan;
    }

    /// Every module may be placed in any way.
    std::optional<PlacementPlan> freest() const {
        auto const choices = placements_to_try(ranks(), true);
        std::vector<RouteStop> stops;
        for (auto const& module : modules_) {
            if (module.kind != ModuleKind::norm) stops.push_back({&module, choices});
        }
        auto plan = route(stops);
        if (fits(most_bytes_of(text_memory(*plan), leanest_vision()))) return plan;
        return within_memory(std::move(stops));
    }

    /// What a tied table takes on a rank depends on both of its ends, so each place of the lm_head
    /// is a search of its own.
    std::optional<PlacementPlan> within_memory(std::vector<RouteStop> stops) const {
        auto const heads = stops.back().choices;
        RouteMemory const memory{.limit = room()};
        std::optional<PlacementPlan> best;
        double least = 0.0;
        for (auto const head : heads) {
            stops.back().choices = {head};
            for (auto& stop : stops) {
                stop.bytes.clear();
                for (auto const placement : stop.choices) {
                    stop.bytes.push_back(bytes_of(*stop.module, placement, head));
                }
            }
            auto plan = route(stops, memory);
            if (!plan) continue;
            double const seconds = ranked(*plan).seconds();
            if (best && seconds >= least) continue;
            best = std::move(plan);
            least = seconds;
        }
        return best;
    }

    /// For weights and cache, what is left beside the norms, the memory of a forward pass and the
    /// vision encoder where it takes least.
    std::vector<std::size_t> room() const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        std::size_t norms = 0;
        for (auto const& module : modules_) {
            if (module.kind == ModuleKind::norm)
                norms += bytes_of(module, Placement::replicate, Placement::replicate)[0];
        }
        std::vector<std::size_t> left;
        for (int rank = 0; rank < ranks; ++rank) {
            std::size_t forward = 0;
            for (auto const preset : presets()) {
                auto plan = make_plan(modules_, preset, ranks);
                settle_streams(plan, modules_, options.compute);
                auto const decode =
                    decode_size(config, plan, options, input_.workload.batch, rank).bytes();
                forward =
                    std::max(forward, forward_memory(config, plan, options, rank).bytes() + decode);
            }
            std::size_t const encoder = leanest_vision()[static_cast<std::size_t>(rank)].total();
            std::size_t const taken = norms + forward + encoder;
            left.push_back(*input_.bytes_per_rank - std::min(*input_.bytes_per_rank, taken));
        }
        return left;
    }

    /// By rank: weights, and of attention the KV cache.
    std::vector<std::size_t> bytes_of(ModuleSpec const& module, Placement placement,
                                      Placement head) const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        PlacementPlan plan{.ranks = ranks, .placements = {}, .streams = {}};
        plan.placements["lm_head"] = head;
        plan.placements[module.name] = placement;
        auto bytes = weight_bytes_of(config, plan, options.weights, module, dtype_of);
        if (module.kind != ModuleKind::attention) return bytes;
        std::size_t const length = input_.workload.prompt + input_.workload.new_tokens;
        parallel::Partition const deal(input_.workload.batch, ranks);
        for (int rank = 0; rank < ranks; ++rank) {
            auto const heads = local_heads(config, placement, rank, ranks);
            CacheLayer const layer{.width = heads.kv.count * config.head_dim,
                                   .dealt = placement == Placement::split_batch};
            bytes[static_cast<std::size_t>(rank)] +=
                cache_bytes({&layer, 1}, options.compute, input_.workload.batch * length,
                            deal.count(rank) * length);
        }
        return bytes;
    }

    /// Every combination of placements by kind of module.
    std::vector<PlacementPlan> plans_by_kind() const {
        auto const choices = placements_to_try(ranks(), false);
        std::vector<PlacementPlan> plans;
        for (auto const embedding : choices) {
            for (auto const attention : choices) {
                for (auto const mlp : choices) {
                    for (auto const head : choices) {
                        plans.push_back(by_kind({{ModuleKind::embedding, embedding},
                                                 {ModuleKind::attention, attention},
                                                 {ModuleKind::mlp, mlp},
                                                 {ModuleKind::lm_head, head}}));
                    }
                }
            }
        }
        return plans;
    }

    PlacementPlan by_kind(std::map<ModuleKind, Placement> const& placements) const {
        std::vector<RouteStop> stops;
        for (auto const& module : modules_) {
            if (module.kind == ModuleKind::norm) continue;
            stops.push_back({&module, {placements.at(module.kind)}});
        }
        return *route(stops);
    }

    PlannerInput const& input_;
    std::vector<ModuleSpec> modules_;  ///< of the text model
    std::vector<RankedVision> visions_;
    std::vector<PlanMemory> vision_memory_;  ///< of each, by rank
    Predictor predictor_;
};

}  // namespace

std::vector<Placement> placements_to_try(int ranks, bool every_rank) {
    if (ranks == 1) return {Placement::replicate};
    std::vector<Placement> placements{Placement::shard, Placement::replicate,
                                      Placement::split_batch};
    constexpr int most_ranks = 8;
    for (int rank = 0; rank < ranks; ++rank) {
        bool const end = rank == 0 || rank == ranks - 1;
        if (end || (every_rank && ranks <= most_ranks)) {
            placements.push_back(Placement::single(rank));
        }
    }
    return placements;
}

std::vector<RankedPlan> best_plans(PlannerInput const& input, std::size_t count) {
    kernels::require(input.machine.ranks() == input.model.ranks,
                     "the machine was measured with another number of ranks");
    return Planner(input).best(count);
}

std::vector<std::string_view> fitting_presets(PlannedWork const& model, Workload const& workload,
                                              std::size_t bytes_per_rank) {
    auto const modules = describe_modules(model.config);
    std::vector<std::string_view> fitting;
    for (auto const preset : presets()) {
        auto plan = make_plan(modules, preset, model.ranks);
        settle_streams(plan, modules, model.options.compute);
        auto const memory = memory_of(model.config, plan, model.options, workload, model.dtype_of);
        std::size_t const most = std::ranges::max(memory, {}, &RankFacts::total).total();
        if (most <= bytes_per_rank) fitting.push_back(preset);
    }
    return fitting;
}

}  // namespace tesserank::model
