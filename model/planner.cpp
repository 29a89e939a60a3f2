#include "model/planner.hpp"

#include "kernels/error.hpp"
#include "model/attention.hpp"
#include "model/decode_memory.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace tesserank::model {
namespace {

std::size_t most_bytes_of(PlannedWork const& model, Workload const& workload,
                          PlacementPlan const& plan) {
    auto const ranks = memory_of(model.config, plan, model.options, workload, model.dtype_of);
    return std::ranges::max(ranks, {}, &RankFacts::total).total();
}

/// Single ranks beyond these would only rename the others.
std::vector<Placement> placements_for(int ranks, bool every_rank) {
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

/// The vision encoder is cut, which takes least memory.
PlacementPlan vision_plan(PlannedWork const& model) {
    auto const modules = describe_vision(model.config);
    auto plan = make_plan(modules, name_of(Placement::shard), model.ranks);
    settle_streams(plan, modules, model.options.compute);
    return plan;
}

/// The search over all plans, and over those that place modules of a kind alike.
class Planner {
  public:
    explicit Planner(PlannerInput const& input)
        : input_{input},
          modules_{describe_text(input.model.config)},
          vision_{vision_plan(input.model)},
          predictor_{input.machine, input.model, input.workload} {}

    std::vector<RankedPlan> best(std::size_t count) const {
        std::vector<RankedPlan> found;
        if (auto plan = freest()) found.push_back(ranked(std::move(*plan)));
        for (auto& plan : plans_by_kind()) found.push_back(ranked(std::move(plan)));
        std::ranges::stable_sort(found, {}, &RankedPlan::seconds);
        return choose(found, count);
    }

  private:
    int ranks() const { return input_.model.ranks; }

    RankedPlan ranked(PlacementPlan plan) const {
        auto const prefill = predictor_.cost_of(plan, Step::Phase::prefill);
        auto const decode = predictor_.cost_of(plan, Step::Phase::decode);
        return {std::move(plan), prefill, decode};
    }

    bool fits(std::size_t bytes) const {
        return !input_.bytes_per_rank || bytes <= *input_.bytes_per_rank;
    }

    std::optional<PlacementPlan> route(std::vector<RouteStop> const& stops,
                                       std::optional<RouteMemory> const& memory = {}) const {
        auto plan = cheapest_route(stops, ranks(), predictor_.batch_costs(), memory);
        if (!plan) return std::nullopt;
        for (auto const& module : modules_) {
            if (module.kind != ModuleKind::norm) continue;
            plan->placements[module.name] = Placement::replicate;
        }
        plan->placements.insert(vision_.placements.begin(), vision_.placements.end());
        plan->streams.insert(vision_.streams.begin(), vision_.streams.end());
        return plan;
    }

    /// Every module may be placed in any way.
    std::optional<PlacementPlan> freest() const {
        auto const choices = placements_for(ranks(), true);
        std::vector<RouteStop> stops;
        for (auto const& module : modules_) {
            if (module.kind != ModuleKind::norm) stops.push_back({&module, choices});
        }
        auto plan = route(stops);
        if (fits(most_bytes_of(input_.model, input_.workload, *plan))) return plan;
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

    /// For weights and cache, what is left beside the norms and the memory of a forward pass.
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
            std::size_t const taken = norms + forward;
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
        auto const choices = placements_for(ranks(), false);
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

    /// Of plans whose times a measurement cannot tell apart the smallest leads. The others follow
    /// as far as they are not the same but for the embedding, which decides little.
    std::vector<RankedPlan> choose(std::vector<RankedPlan> const& sorted, std::size_t count) const {
        constexpr double noise = 0.01;
        std::optional<RankedPlan> leader;
        std::vector<RankedPlan> others;
        double bound = 0.0;
        for (auto const& entry : sorted) {
            if (leader && entry.seconds() > bound && others.size() >= count) break;
            std::size_t const bytes = most_bytes_of(input_.model, input_.workload, entry.plan);
            if (!fits(bytes)) continue;
            RankedPlan ranked = entry;
            ranked.most_bytes = bytes;
            if (!leader) bound = (1.0 + noise) * ranked.seconds();
            bool const leads =
                !leader || (ranked.seconds() <= bound && ranked.most_bytes < leader->most_bytes);
            if (leads) leader = ranked;
            if (is_new(ranked.plan, others)) others.push_back(std::move(ranked));
        }
        if (!leader) return {};
        std::vector<RankedPlan> chosen{std::move(*leader)};
        for (auto& other : others) {
            if (chosen.size() == count) break;
            if (is_new(other.plan, chosen)) chosen.push_back(std::move(other));
        }
        return chosen;
    }

    /// Whether a plan differs from all these in more than the embedding.
    static bool is_new(PlacementPlan plan, std::vector<RankedPlan> const& known) {
        return std::ranges::none_of(known, [&](RankedPlan const& other) {
            plan.placements["embedding"] = other.plan.of("embedding");
            return plan.placements == other.plan.placements;
        });
    }

    PlannerInput const& input_;
    std::vector<ModuleSpec> modules_;  ///< of the text model
    PlacementPlan vision_;
    Predictor predictor_;
};

}  // namespace

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
        if (most_bytes_of(model, workload, plan) <= bytes_per_rank) fitting.push_back(preset);
    }
    return fitting;
}

}  // namespace tesserank::model
