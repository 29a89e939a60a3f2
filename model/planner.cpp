#include "model/planner.hpp"

#include "kernels/error.hpp"
#include "model/attention.hpp"
#include "model/decode_memory.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "model/vision_planner.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace tesserank::model {
namespace {

using Memory = std::vector<RankFacts>;

/// On the rank that has most of both parts.
std::size_t most_bytes_of(Memory const& text, Memory const& vision) {
    std::size_t most = 0;
    for (std::size_t rank = 0; rank < text.size(); ++rank) {
        auto both = text[rank];
        most = std::max(most, (both += vision[rank]).total());
    }
    return most;
}

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
        return choose(found, count);
    }

  private:
    int ranks() const { return input_.model.ranks; }

    RankedPlan ranked(PlacementPlan plan) const {
        auto const prefill = predictor_.cost_of(plan, Step::Phase::prefill);
        auto const decode = predictor_.cost_of(plan, Step::Phase::decode);
        return {std::move(plan), {}, prefill, decode};
    }

    Memory text_memory(PlacementPlan const& plan) const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        return text_memory_of(config, plan, options, input_.workload, dtype_of);
    }

    std::vector<Memory> memory_of_visions() const {
        auto const& [config, options, dtype_of, ranks] = input_.model;
        std::vector<Memory> memory;
        for (auto const& vision : visions_) {
            memory.push_back(
                vision_memory_of(config, vision.plan, options, input_.workload, dtype_of));
        }
        return memory;
    }

    /// Of the encoder's plans the one that takes least on its largest rank.
    Memory const& leanest_vision() const {
        return *std::ranges::min_element(vision_memory_, {}, [](Memory const& memory) {
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
        for (auto const& module : modules_) {
            if (module.kind != ModuleKind::norm) continue;
            plan->placements[module.name] = Placement::replicate;
        }
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

    /// A plan of the text model with one of the encoder, by their numbers.
    struct Pair {
        std::size_t text = 0, vision = 0;
        double seconds = 0.0;
    };

    std::vector<Pair> sorted_pairs(std::vector<RankedPlan> const& texts) const {
        std::vector<Pair> pairs;
        pairs.reserve(texts.size() * visions_.size());
        for (std::size_t text = 0; text < texts.size(); ++text) {
            for (std::size_t vision = 0; vision < visions_.size(); ++vision) {
                pairs.push_back(
                    {text, vision, texts[text].seconds() + visions_[vision].cost.total()});
            }
        }
        std::ranges::stable_sort(pairs, {}, &Pair::seconds);
        return pairs;
    }

    RankedPlan joined(RankedPlan plan, RankedVision const& vision) const {
        plan.plan.placements.insert(vision.plan.placements.begin(), vision.plan.placements.end());
        plan.plan.streams.insert(vision.plan.streams.begin(), vision.plan.streams.end());
        plan.encode = vision.cost;
        return plan;
    }

    /// Of plans whose times a measurement cannot tell apart the smallest leads. The others follow
    /// as far as they are not the same but for what decides little.
    std::vector<RankedPlan> choose(std::vector<RankedPlan> const& texts, std::size_t count) const {
        constexpr double noise = 0.01;
        std::vector<Memory> text_memories(texts.size());
        std::optional<RankedPlan> leader;
        std::vector<RankedPlan> others;
        double bound = 0.0;
        for (auto const& pair : sorted_pairs(texts)) {
            if (leader && pair.seconds > bound && others.size() >= count) break;
            auto& memory = text_memories[pair.text];
            if (memory.empty()) memory = text_memory(texts[pair.text].plan);
            std::size_t const bytes = most_bytes_of(memory, vision_memory_[pair.vision]);
            if (!fits(bytes)) continue;
            auto ranked = joined(texts[pair.text], visions_[pair.vision]);
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

    /// Whether a plan differs from all these in more than the modules that decide little.
    static bool is_new(PlacementPlan plan, std::vector<RankedPlan> const& known) {
        return std::ranges::none_of(known, [&](RankedPlan const& other) {
            for (auto const* name : {"embedding", "vision.embedding", "vision.projector"}) {
                auto const found = other.plan.placements.find(name);
                if (found != other.plan.placements.end()) plan.placements[name] = found->second;
            }
            return plan.placements == other.plan.placements;
        });
    }

    PlannerInput const& input_;
    std::vector<ModuleSpec> modules_;  ///< of the text model
    std::vector<RankedVision> visions_;
    std::vector<Memory> vision_memory_;  ///< of each, by rank
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
