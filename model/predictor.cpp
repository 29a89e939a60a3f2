#include "model/predictor.hpp"

#include <algorithm>
#include <iterator>
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

MachineCosts Predictor::costs(Phase phase, bool dealt, CostPart part) const {
    int const owners = dealt ? model_.ranks : 1;
    return {machine_, model_, loads_of(workload_, model_.options, owners, phase), part};
}

PlanCost Predictor::cost_of(PlacementPlan const& plan, Phase phase) const {
    auto const& of_phase = by_phase_.at(phase == Phase::prefill ? 0 : 1);
    return model::cost_of(plan, modules_, of_phase.at(plan.deals_sequences() ? 1 : 0));
}

PhaseTimes Predictor::times_of(PlacementPlan const& plan, Phase phase) const {
    auto const part = [&](CostPart counted) {
        return model::cost_of(plan, modules_, costs(phase, plan.deals_sequences(), counted))
            .total();
    };
    PhaseTimes times{cost_of(plan, phase), 0, "nothing"};
    for (auto const& [load, count] : loads_of(workload_, model_.options, plan.owners(), phase)) {
        times.steps += count;
    }
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

}  // namespace tesserank::model
