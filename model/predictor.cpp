#include "model/predictor.hpp"

#include "model/vision_work.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using Phase = Step::Phase;

std::vector<CountedLoad> batch_loads(Workload const& workload, TransformerOptions const& options) {
    auto loads = loads_of(workload, options, 1, Phase::prefill);
    std::ranges::move(loads_of(workload, options, 1, Phase::decode), std::back_inserter(loads));
    return loads;
}

/// `costs_of` gives the costs of a part.
template <class CostsOf>
PhaseTimes times_by_parts(PlacementPlan const& plan, std::span<ModuleSpec const> modules,
                          CostsOf const& costs_of) {
    auto const part = [&](CostPart counted) {
        return model::cost_of(plan, modules, costs_of(counted)).total();
    };
    auto const all = costs_of(CostPart::all);
    PhaseTimes times{model::cost_of(plan, modules, all), all.passes(), "nothing"};
    double const starts = std::min(part(CostPart::starts), times.cost.exchanges);
    double const gemm = part(CostPart::gemm), weights = std::min(part(CostPart::weights), gemm);
    std::array<std::pair<double, std::string_view>, 6> const parts{
        {{weights, "reading weights"},
         {gemm - weights, "arithmetic"},
         {part(CostPart::attention), "attention"},
         {part(CostPart::elementwise), "elementwise work"},
         {starts, "the start of exchanges"},
         {times.cost.exchanges - starts, "the bytes of exchanges"}}};
    auto const& largest =
        *std::ranges::max_element(parts, {}, [](auto const& entry) { return entry.first; });
    if (largest.first > 0.0) times.limit = largest.second;
    return times;
}

}  // namespace

Predictor::Predictor(Machine const& machine, PlannedWork model, Workload const& workload)
    : machine_{machine},
      model_{model},
      workload_{workload},
      modules_{describe_text(model.config)},
      batch_{machine, model, batch_loads(workload, model.options)},
      by_phase_{{{costs(Phase::prefill, false, CostPart::all),
                  costs(Phase::prefill, true, CostPart::all)},
                 {costs(Phase::decode, false, CostPart::all),
                  costs(Phase::decode, true, CostPart::all)}}} {}

TextCosts Predictor::costs(Phase phase, bool dealt, CostPart part) const {
    int const owners = dealt ? model_.ranks : 1;
    return {machine_, model_, loads_of(workload_, model_.options, owners, phase), part};
}

PlanCost Predictor::cost_of(PlacementPlan const& plan, Phase phase) const {
    auto const& of_phase = by_phase_.at(phase == Phase::prefill ? 0 : 1);
    return model::cost_of(plan, modules_, of_phase.at(plan.deals_sequences() ? 1 : 0));
}

PhaseTimes Predictor::times_of(PlacementPlan const& plan, Phase phase) const {
    return times_by_parts(
        plan, modules_, [&](CostPart part) { return costs(phase, plan.deals_sequences(), part); });
}

PhaseTimes Predictor::times_of_encoding(PlacementPlan const& plan) const {
    if (workload_.all_tiles() == 0) return {{}, 0, "nothing"};
    auto const loads = vision_loads_of(model_.config, plan, model_.options, workload_);
    return times_by_parts(plan, describe_vision(model_.config), [&](CostPart part) {
        return VisionCosts(machine_, model_, loads, part);
    });
}

}  // namespace tesserank::model
