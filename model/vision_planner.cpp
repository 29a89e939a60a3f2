#include "model/vision_planner.hpp"

#include "model/vision_work.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

class VisionPlanner {
  public:
    explicit VisionPlanner(PlannerInput const& input)
        : input_{input},
          modules_{describe_vision(input.model.config)},
          costs_{input.machine, input.model,
                 loads_of_plan({.ranks = input.model.ranks, .placements = {}, .streams = {}})} {}

    std::vector<RankedVision> rank() const {
        std::vector<RankedVision> found;
        add(found, route({}, placements_to_try(ranks(), true)));
        auto const choices = placements_to_try(ranks(), false);
        for (auto const attention : choices) {
            for (auto const mlp : choices) {
                add(found,
                    route({{ModuleKind::attention, attention}, {ModuleKind::mlp, mlp}}, choices));
            }
        }
        std::ranges::stable_sort(found, {},
                                 [](RankedVision const& plan) { return plan.cost.total(); });
        return found;
    }

  private:
    using FixedKinds = std::map<ModuleKind, Placement>;

    int ranks() const { return input_.model.ranks; }

    std::vector<CountedLoad> loads_of_plan(PlacementPlan const& plan) const {
        return vision_loads_of(input_.model.config, plan, input_.model.options, input_.workload);
    }

    /// The best plan that places modules of these kinds so, and others in any of the ways.
    PlacementPlan route(FixedKinds const& fixed, std::vector<Placement> const& choices) const {
        std::vector<RouteStop> stops;
        for (auto const& module : modules_) {
            if (module.kind == ModuleKind::norm) continue;
            auto const kind = fixed.find(module.kind);
            stops.push_back({&module, kind == fixed.end() ? choices : std::vector{kind->second}});
        }
        auto plan = *cheapest_route(stops, ranks(), costs_);
        replicate_norms(plan, modules_);
        return plan;
    }

    /// With its cost, unless it is there already. A plan that deals tiles out may encode others at
    /// once.
    void add(std::vector<RankedVision>& found, PlacementPlan plan) const {
        bool const known = std::ranges::any_of(found, [&](RankedVision const& other) {
            return other.plan.placements == plan.placements;
        });
        if (known) return;
        VisionCosts const costs(input_.machine, input_.model, loads_of_plan(plan));
        auto const cost = cost_of(plan, modules_, costs);
        found.push_back({std::move(plan), cost});
    }

    PlannerInput const& input_;
    std::vector<ModuleSpec> modules_;
    VisionCosts costs_;
};

}  // namespace

std::vector<RankedVision> rank_vision_plans(PlannerInput const& input) {
    if (!input.model.config.vision)
        return {{{.ranks = input.model.ranks, .placements = {}, .streams = {}}, {}}};
    return VisionPlanner(input).rank();
}

}  // namespace tesserank::model
