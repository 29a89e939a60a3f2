#include "model/residual_route.hpp"

#include "model/route.hpp"

#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using parallel::LayoutKind;

/// What is sent is all that counts: the placements are given.
class ExchangeCosts final : public RouteCosts {
  public:
    ExchangeCosts(DType compute, CollectiveCost const& cost) : compute_{compute}, cost_{cost} {}

    double exchange(Collective kind, Rows rows) const override {
        return cost_(kind, rows == Rows::stream ? DType::f32 : compute_);
    }
    double work(ModuleSpec const& /*module*/, Placement /*placement*/) const override {
        return 0.0;
    }
    double norm(LayoutKind /*stream*/) const override { return 0.0; }
    double end(ModuleSpec const& last, Placement placement) const override {
        auto const kind = parallel::collective_of(output_of(placement, last.kind), LayoutKind{});
        bool const features = last.kind == ModuleKind::projector && kind != Collective::none;
        return features ? exchange(kind, Rows::stream) : 0.0;
    }

  private:
    DType compute_;
    CollectiveCost const& cost_;
};

}  // namespace

double assumed_collective_cost(Collective kind, DType dtype) {
    constexpr double start = 4.0;
    double const volume = kind == Collective::all_reduce ? 2.0 : 1.0;
    return start + volume * static_cast<double>(kernels::size_of(dtype));
}

void settle_streams(PlacementPlan& plan, std::span<ModuleSpec const> modules, DType compute,
                    CollectiveCost const& cost) {
    plan.streams.clear();
    for (bool const vision : {true, false}) {
        std::vector<RouteStop> stops;
        for (auto const& module : modules) {
            if (module.kind == ModuleKind::norm || is_vision(module.name) != vision) continue;
            stops.push_back({&module, {plan.of(module.name)}});
        }
        if (stops.empty()) continue;
        plan.streams.merge(
            cheapest_route(stops, plan.ranks, ExchangeCosts(compute, cost))->streams);
    }
}

}  // namespace tesserank::model
