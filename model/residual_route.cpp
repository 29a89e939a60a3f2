#include "model/residual_route.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using parallel::LayoutKind;

/// What the residual stream may look like under a plan.
std::vector<LayoutKind> stream_layouts(PlacementPlan const& plan) {
    std::vector<LayoutKind> layouts{{LayoutKind::Kind::replicated}};
    for (auto const& [name, placement] : plan.placements) {
        auto const layout = input_of(placement);
        if (std::ranges::find(layouts, layout) == layouts.end()) layouts.push_back(layout);
    }
    return layouts;
}

/// Costs of arriving at each layout, and from which one, module by module.
class Route {
  public:
    Route(std::vector<LayoutKind> layouts, DType compute, CollectiveCost const& cost)
        : layouts_{std::move(layouts)}, compute_{compute}, cost_{cost} {}

    void start(LayoutKind embedded) {
        for (auto const layout : layouts_) costs_.push_back(move(embedded, layout, DType::f32));
    }

    void pass(Placement placement, ModuleKind kind) {
        std::vector<std::size_t> from(layouts_.size());
        std::vector<double> costs(layouts_.size());
        for (std::size_t to = 0; to < layouts_.size(); ++to) {
            auto const stream = layouts_[to];
            costs[to] = arrive(to, from[to]) + move(stream, input_of(placement), compute_) +
                        move(output_of(placement, kind), stream, DType::f32);
        }
        costs_ = std::move(costs);
        from_.push_back(std::move(from));
    }

    /// The layouts by module, first to last, when the last stream is to become `head`.
    std::vector<LayoutKind> finish(LayoutKind head) {
        for (std::size_t i = 0; i < layouts_.size(); ++i) {
            costs_[i] += move(layouts_[i], head, compute_);
        }
        auto at = static_cast<std::size_t>(std::ranges::min_element(costs_) - costs_.begin());
        std::vector<LayoutKind> path(from_.size());
        for (std::size_t module = path.size(); module-- > 0; at = from_[module][at]) {
            path[module] = layouts_[at];
        }
        return path;
    }

  private:
    double move(LayoutKind from, LayoutKind to, DType dtype) const {
        auto const kind = parallel::collective_of(from, to);
        return kind == Collective::none ? 0.0 : cost_(kind, dtype);
    }

    /// The least cost of having the stream in layout `to` before the next module.
    double arrive(std::size_t to, std::size_t& best) const {
        // The embedding's result was brought to each layout already: it does not move again.
        if (from_.empty()) {
            best = to;
            return costs_[to];
        }
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < layouts_.size(); ++i) {
            double const cost = costs_[i] + move(layouts_[i], layouts_[to], DType::f32);
            if (cost >= least) continue;
            least = cost;
            best = i;
        }
        return least;
    }

    std::vector<LayoutKind> layouts_;
    DType compute_;
    CollectiveCost const& cost_;
    std::vector<double> costs_;                   ///< by layout, behind the last module
    std::vector<std::vector<std::size_t>> from_;  ///< by module and its layout: the one before
};

}  // namespace

double assumed_collective_cost(Collective kind, DType dtype) {
    constexpr double start = 4.0;
    double const volume = kind == Collective::all_reduce ? 2.0 : 1.0;
    return start + volume * static_cast<double>(kernels::size_of(dtype));
}

void settle_streams(PlacementPlan& plan, std::span<ModuleSpec const> modules, DType compute,
                    CollectiveCost const& cost) {
    Route route(stream_layouts(plan), compute, cost);
    std::vector<std::string> names;
    LayoutKind head;
    for (auto const& module : modules) {
        auto const placement = plan.of(module.name);
        switch (module.kind) {
            case ModuleKind::embedding:
                route.start(output_of(placement, module.kind));
                break;
            case ModuleKind::lm_head:
                head = input_of(placement);
                break;
            case ModuleKind::norm:
                break;
            case ModuleKind::attention:
            case ModuleKind::mlp:
                route.pass(placement, module.kind);
                names.push_back(module.name);
                break;
        }
    }
    auto const path = route.finish(head);
    plan.streams.clear();
    for (std::size_t i = 0; i < names.size(); ++i) plan.streams[names[i]] = path[i];
}

}  // namespace tesserank::model
