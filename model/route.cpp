#include "model/route.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using parallel::Collective;
using parallel::LayoutKind;
using Rows = RouteCosts::Rows;

double move_cost(RouteCosts const& costs, LayoutKind from, LayoutKind to, Rows rows) {
    auto const kind = parallel::collective_of(from, to);
    return kind == Collective::none ? 0.0 : costs.exchange(kind, rows);
}

/// A norm stands before the lm_head; a projector has its own.
double last_norm_cost(RouteCosts const& costs, ModuleSpec const& last, LayoutKind stream) {
    return last.kind == ModuleKind::lm_head ? costs.norm(stream) : 0.0;
}

/// A way through the first modules, with its last step.
struct Way {
    double cost = 0.0;
    std::vector<std::size_t> bytes;      ///< by rank; empty without a memory limit
    std::size_t layout = 0, parent = 0;  ///< of the way before
    std::size_t choice = 0;              ///< of the last module
};

/// What the stream may look like: Replicated, and what a module may take.
std::vector<LayoutKind> layouts_of(std::span<RouteStop const> stops) {
    std::vector<LayoutKind> layouts{{LayoutKind::Kind::replicated}};
    for (auto const& stop : stops) {
        for (auto const placement : stop.choices) {
            auto const layout = input_of(placement);
            if (std::ranges::find(layouts, layout) == layouts.end()) layouts.push_back(layout);
        }
    }
    return layouts;
}

bool beats(Way const& a, Way const& b) {
    return std::ranges::equal(a.bytes, b.bytes, std::less_equal<>());
}

class Search {
  public:
    Search(std::span<RouteStop const> stops, RouteCosts const& costs,
           std::optional<RouteMemory> const& memory)
        : stops_{stops}, costs_{costs}, memory_{memory}, layouts_{layouts_of(stops)} {
        if (memory_) count_least_rest();
    }

    std::optional<PlacementPlan> run(int ranks) {
        start();
        for (std::size_t stop = 1; stop + 1 < stops_.size(); ++stop) pass(stop);
        auto const last = finish();
        if (!last) return std::nullopt;
        return plan_of(*last, ranks);
    }

  private:
    using Ways = std::vector<std::vector<Way>>;  ///< by layout

    /// For each stop and rank, what the stops behind it take at least.
    void count_least_rest() {
        least_rest_.assign(stops_.size(), std::vector<std::size_t>(memory_->limit.size(), 0));
        for (std::size_t stop = stops_.size() - 1; stop-- > 0;) {
            for (std::size_t rank = 0; rank < memory_->limit.size(); ++rank) {
                auto const& next = stops_[stop + 1].bytes;
                auto const least = std::ranges::min(
                    next, {}, [rank](auto const& bytes) { return bytes[rank]; })[rank];
                least_rest_[stop][rank] = least_rest_[stop + 1][rank] + least;
            }
        }
    }

    /// Adds the bytes of a choice; false when the rest of the model has no room beside them.
    bool add_bytes(Way& way, std::size_t stop) const {
        if (!memory_) return true;
        way.bytes.resize(memory_->limit.size());
        for (std::size_t rank = 0; rank < way.bytes.size(); ++rank) {
            way.bytes[rank] += stops_[stop].bytes[way.choice][rank];
            if (way.bytes[rank] + least_rest_[stop][rank] > memory_->limit[rank]) return false;
        }
        return true;
    }

    /// Keeps the cheapest, and under a memory limit those that are not beaten.
    void prune(std::vector<Way>& ways) const {
        std::ranges::stable_sort(ways, {}, &Way::cost);
        std::size_t const most = memory_ ? memory_->ways : 1;
        std::vector<Way> kept;
        for (auto& way : ways) {
            if (kept.size() == most) break;
            bool const beaten =
                std::ranges::any_of(kept, [&](Way const& cheaper) { return beats(cheaper, way); });
            if (!beaten) kept.push_back(std::move(way));
        }
        ways = std::move(kept);
    }

    void start() {
        auto const& embedding = stops_.front();
        ways_.emplace_back(layouts_.size());
        for (std::size_t to = 0; to < layouts_.size(); ++to) {
            auto& ways = ways_.back()[to];
            for (std::size_t choice = 0; choice < embedding.choices.size(); ++choice) {
                auto const placement = embedding.choices[choice];
                auto const given = output_of(placement, embedding.module->kind);
                Way way{.bytes = {}, .layout = to, .choice = choice};
                way.cost = costs_.work(*embedding.module, placement) +
                           move_cost(costs_, given, layouts_[to], Rows::stream);
                if (add_bytes(way, 0)) ways.push_back(std::move(way));
            }
            prune(ways);
        }
    }

    /// The ways that bring the stream into layout `to` before the next module.
    std::vector<Way> arrivals(std::size_t to) const {
        std::vector<Way> arrived;
        auto const& before = ways_.back();
        // The embedding's result was brought to each layout already: it does not move again.
        bool const first = ways_.size() == 1;
        for (std::size_t from = first ? to : 0; from < (first ? to + 1 : before.size()); ++from) {
            double const moved = move_cost(costs_, layouts_[from], layouts_[to], Rows::stream);
            for (std::size_t index = 0; index < before[from].size(); ++index) {
                auto const& way = before[from][index];
                arrived.push_back({way.cost + moved, way.bytes, from, index, 0});
            }
        }
        prune(arrived);
        return arrived;
    }

    void pass(std::size_t stop) {
        auto const& module = *stops_[stop].module;
        auto const& choices = stops_[stop].choices;
        Ways next(layouts_.size());
        for (std::size_t to = 0; to < layouts_.size(); ++to) {
            auto const stream = layouts_[to];
            auto const arrived = arrivals(to);
            for (std::size_t choice = 0; choice < choices.size(); ++choice) {
                double const cost = step_cost(module, choices[choice], stream);
                for (auto way : arrived) {
                    way.cost += cost;
                    way.choice = choice;
                    if (add_bytes(way, stop)) next[to].push_back(std::move(way));
                }
            }
            prune(next[to]);
        }
        ways_.push_back(std::move(next));
    }

    double step_cost(ModuleSpec const& module, Placement placement, LayoutKind stream) const {
        return costs_.norm(stream) + move_cost(costs_, stream, input_of(placement), Rows::input) +
               costs_.work(module, placement) +
               move_cost(costs_, output_of(placement, module.kind), stream, Rows::stream);
    }

    /// The cheapest way to the end, which stands in no layout any more.
    std::optional<Way> finish() const {
        auto const& head = stops_.back();
        std::optional<Way> best;
        for (std::size_t from = 0; from < layouts_.size(); ++from) {
            for (std::size_t index = 0; index < ways_.back()[from].size(); ++index) {
                for (std::size_t choice = 0; choice < head.choices.size(); ++choice) {
                    auto const& before = ways_.back()[from][index];
                    Way way{before.cost + head_cost(head, choice, layouts_[from]), before.bytes,
                            from, index, choice};
                    if (!add_bytes(way, stops_.size() - 1)) continue;
                    if (!best || way.cost < best->cost) best = std::move(way);
                }
            }
        }
        return best;
    }

    double head_cost(RouteStop const& head, std::size_t choice, LayoutKind stream) const {
        auto const placement = head.choices[choice];
        return last_norm_cost(costs_, *head.module, stream) +
               move_cost(costs_, stream, input_of(placement), Rows::outputs) +
               costs_.work(*head.module, placement) + costs_.end(*head.module, placement);
    }

    PlacementPlan plan_of(Way const& last, int ranks) const {
        PlacementPlan plan{.ranks = ranks, .placements = {}, .streams = {}};
        auto const& head = stops_.back();
        plan.placements[head.module->name] = head.choices[last.choice];
        auto const* way = &last;
        for (std::size_t stop = stops_.size() - 1; stop-- > 0;) {
            std::size_t const layout = way->layout;
            way = &ways_[stop][layout][way->parent];
            auto const& module = *stops_[stop].module;
            plan.placements[module.name] = stops_[stop].choices[way->choice];
            if (module.has_stream()) plan.streams[module.name] = layouts_[layout];
        }
        return plan;
    }

    std::span<RouteStop const> stops_;
    RouteCosts const& costs_;
    std::optional<RouteMemory> const& memory_;
    std::vector<LayoutKind> layouts_;
    std::vector<std::vector<std::size_t>> least_rest_;
    std::vector<Ways> ways_;  ///< behind each stop
};

/// Sums up a plan, module by module.
class Sum {
  public:
    Sum(PlacementPlan const& plan, RouteCosts const& costs) : plan_{plan}, costs_{costs} {}

    void embed(ModuleSpec const& embedding, LayoutKind first) {
        auto const placement = plan_.of(embedding.name);
        cost_.work += costs_.work(embedding, placement);
        move(output_of(placement, embedding.kind), first, Rows::stream);
        stream_ = first;
    }

    void pass(ModuleSpec const& module) {
        auto const placement = plan_.of(module.name);
        auto const stream = plan_.stream_of(module.name);
        move(stream_, stream, Rows::stream);
        stream_ = stream;
        cost_.work += costs_.norm(stream) + costs_.work(module, placement);
        move(stream, input_of(placement), Rows::input);
        move(output_of(placement, module.kind), stream, Rows::stream);
    }

    PlanCost end(ModuleSpec const& last) {
        auto const placement = plan_.of(last.name);
        cost_.work += last_norm_cost(costs_, last, stream_) + costs_.work(last, placement);
        move(stream_, input_of(placement), Rows::outputs);
        cost_.exchanges += costs_.end(last, placement);
        return cost_;
    }

  private:
    void move(LayoutKind from, LayoutKind to, Rows rows) {
        cost_.exchanges += move_cost(costs_, from, to, rows);
    }

    PlacementPlan const& plan_;
    RouteCosts const& costs_;
    LayoutKind stream_;
    PlanCost cost_;
};

}  // namespace

PlanCost cost_of(PlacementPlan const& plan, std::span<ModuleSpec const> modules,
                 RouteCosts const& costs) {
    Sum sum(plan, costs);
    auto const first = std::ranges::find_if(modules, &ModuleSpec::has_stream);
    kernels::require(first != modules.end(), "a model without layers");
    sum.embed(modules.front(), plan.stream_of(first->name));
    for (auto const& module : modules) {
        if (module.has_stream()) sum.pass(module);
    }
    return sum.end(modules.back());
}

std::optional<PlacementPlan> cheapest_route(std::span<RouteStop const> stops, int ranks,
                                            RouteCosts const& costs,
                                            std::optional<RouteMemory> const& memory) {
    kernels::require(stops.size() >= 3, "a model without layers");
    return Search(stops, costs, memory).run(ranks);
}

}  // namespace tesserank::model
