#include "model/route.hpp"

#include "kernels/random.hpp"
#include "tests/model/support_model.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using parallel::Collective;
using parallel::LayoutKind;

/// Costs without any order in them, so that no shortcut finds the best plan.
class RandomCosts final : public RouteCosts {
  public:
    explicit RandomCosts(std::uint64_t seed) : seed_{seed} {}
    double exchange(Collective kind, Rows rows) const override {
        return draw(std::string(parallel::name_of(kind)) + std::to_string(static_cast<int>(rows)));
    }
    double work(ModuleSpec const& module, Placement placement) const override {
        return 2.0 * draw(module.name + name_of(placement));
    }
    double norm(LayoutKind stream) const override { return 0.3 * draw("norm" + name_of(stream)); }
    double end(ModuleSpec const& last, Placement placement) const override {
        return draw("end" + last.name + name_of(placement));
    }

  private:
    double draw(std::string const& what) const {
        return kernels::uniform_draw(seed_, kernels::stream_of(what), 0, 0);
    }
    std::uint64_t seed_;
};

std::vector<Placement> const few_choices{Placement::shard, Placement::split_batch,
                                         Placement::single(1)};

DecoderConfig one_layer() {
    auto config = test::tiny_decoder();
    config.layers = 1;
    config.windows = {0};
    return config;
}

std::vector<RouteStop> stops_of(std::vector<ModuleSpec> const& modules,
                                std::vector<Placement> const& choices) {
    std::vector<RouteStop> stops;
    for (auto const& module : modules) {
        if (module.kind != ModuleKind::norm) stops.push_back({&module, choices});
    }
    return stops;
}

/// Bytes that a choice takes on each of two ranks, without any order in them either.
std::vector<std::size_t> bytes_of(ModuleSpec const& module, Placement placement) {
    auto const draw = [&](std::string const& rank) {
        auto const stream = kernels::stream_of(module.name + name_of(placement) + rank);
        return static_cast<std::size_t>(100.0 * kernels::uniform_draw(3, stream, 0, 0));
    };
    return {draw("a"), draw("b")};
}

/// Calls visit with every plan over these choices and every way of the stream.
template <class Visit>
void for_every_plan(std::vector<ModuleSpec> const& modules, std::vector<Placement> const& choices,
                    Visit const& visit) {
    std::vector<LayoutKind> const layouts{
        {LayoutKind::Kind::replicated}, {LayoutKind::Kind::batch_sharded}, LayoutKind::on_rank(1)};
    std::vector<std::string> placed;
    std::vector<std::string> streams;
    for (auto const& module : modules) {
        if (module.kind == ModuleKind::norm) continue;
        placed.push_back(module.name);
        bool const block = module.kind == ModuleKind::attention || module.kind == ModuleKind::mlp;
        if (block) streams.push_back(module.name);
    }
    std::size_t plans = 1;
    for (std::size_t i = 0; i < placed.size(); ++i) plans *= choices.size();
    for (std::size_t i = 0; i < streams.size(); ++i) plans *= layouts.size();
    for (std::size_t number = 0; number < plans; ++number) {
        PlacementPlan plan{.ranks = 2, .placements = {}, .streams = {}};
        std::size_t rest = number;
        for (auto const& name : placed) {
            plan.placements[name] = choices[rest % choices.size()];
            rest /= choices.size();
        }
        for (auto const& name : streams) {
            plan.streams[name] = layouts[rest % layouts.size()];
            rest /= layouts.size();
        }
        visit(plan);
    }
}

TEST(CheapestRoute, IsTheBestOfAllPlans) {
    auto const modules = describe_modules(one_layer());
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        RandomCosts const costs(seed);
        double least = std::numeric_limits<double>::infinity();
        for_every_plan(modules, few_choices, [&](PlacementPlan const& plan) {
            least = std::min(least, cost_of(plan, modules, costs).total());
        });
        auto const found = cheapest_route(stops_of(modules, few_choices), 2, costs);
        ASSERT_TRUE(found);
        EXPECT_NEAR(cost_of(*found, modules, costs).total(), least, 1e-12) << "seed " << seed;
    }
}

TEST(CheapestRoute, IsTheBestOfAllPlansThatFit) {
    auto const modules = describe_modules(one_layer());
    auto stops = stops_of(modules, few_choices);
    for (auto& stop : stops) {
        for (auto const placement : stop.choices) {
            stop.bytes.push_back(bytes_of(*stop.module, placement));
        }
    }
    auto const fits = [&](PlacementPlan const& plan, std::vector<std::size_t> const& limit) {
        std::vector<std::size_t> sum(2, 0);
        for (auto const& stop : stops) {
            auto const bytes = bytes_of(*stop.module, plan.of(stop.module->name));
            for (std::size_t rank = 0; rank < 2; ++rank) sum[rank] += bytes[rank];
        }
        return sum[0] <= limit[0] && sum[1] <= limit[1];
    };
    std::size_t found_some = 0;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        RandomCosts const costs(seed);
        std::vector<std::size_t> const limit{60 + 8 * seed, 300 - 5 * seed};
        double least = std::numeric_limits<double>::infinity();
        for_every_plan(modules, few_choices, [&](PlacementPlan const& plan) {
            if (!fits(plan, limit)) return;
            least = std::min(least, cost_of(plan, modules, costs).total());
        });
        auto const found =
            cheapest_route(stops, 2, costs, RouteMemory{.limit = limit, .ways = 100000});
        ASSERT_EQ(found.has_value(), least < std::numeric_limits<double>::infinity()) << seed;
        if (!found) continue;
        ++found_some;
        EXPECT_TRUE(fits(*found, limit)) << "seed " << seed;
        EXPECT_NEAR(cost_of(*found, modules, costs).total(), least, 1e-12) << "seed " << seed;
    }
    EXPECT_GT(found_some, 10U) << "the limits leave too few plans to test anything";
}

TEST(CheapestRoute, TakesTheFirstOfEquallyGoodChoices) {
    class NoCosts final : public RouteCosts {
        double exchange(Collective /*kind*/, Rows /*rows*/) const override { return 0.0; }
        double work(ModuleSpec const& /*module*/, Placement /*placement*/) const override {
            return 1.0;
        }
        double norm(LayoutKind /*stream*/) const override { return 0.0; }
        double end(ModuleSpec const& /*last*/, Placement /*placement*/) const override {
            return 0.0;
        }
    };
    auto const modules = describe_modules(test::tiny_decoder());
    auto const found = cheapest_route(stops_of(modules, few_choices), 2, NoCosts());
    ASSERT_TRUE(found);
    for (auto const& [name, placement] : found->placements) {
        EXPECT_EQ(placement, Placement::shard) << name;
    }
}

TEST(CheapestRoute, SaysSoWhenNothingFits) {
    auto const modules = describe_modules(test::tiny_decoder());
    auto stops = stops_of(modules, {Placement::shard});
    for (auto& stop : stops) stop.bytes = {{10, 10}};
    RandomCosts const costs(1);
    std::size_t const needed = 10 * stops.size();
    EXPECT_FALSE(cheapest_route(stops, 2, costs, RouteMemory{.limit = {needed, needed - 1}}));
    EXPECT_TRUE(cheapest_route(stops, 2, costs, RouteMemory{.limit = {needed, needed}}));
}

}  // namespace
}  // namespace tesserank::model
