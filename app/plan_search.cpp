#include "app/plan_search.hpp"

#include "app/table.hpp"
#include "kernels/error.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

using model::RankedPlan;
using Phase = model::Step::Phase;

constexpr std::size_t shown_plans = 5;

/// What the preset that takes least memory needs on its largest rank.
std::size_t least_bytes(model::PlannerInput const& input) {
    auto const& [config, options, dtype_of, ranks] = input.model;
    auto const modules = model::describe_modules(config);
    std::size_t least = std::numeric_limits<std::size_t>::max();
    for (auto const preset : model::presets()) {
        auto plan = model::make_plan(modules, preset, ranks);
        model::settle_streams(plan, modules, options.compute);
        auto const memory = model::memory_of(config, plan, options, input.workload, dtype_of);
        least = std::min(least, std::ranges::max(memory, {}, &model::RankFacts::total).total());
    }
    return least;
}

/// In what one plan is faster than another one, or slower, the largest difference first.
std::string differences(RankedPlan const& first, RankedPlan const& other) {
    std::array<std::pair<double, std::string_view>, 6> parts{
        {{other.encode.work - first.encode.work, "work in encoding"},
         {other.encode.exchanges - first.encode.exchanges, "exchanges in encoding"},
         {other.prefill.work - first.prefill.work, "work in prefill"},
         {other.prefill.exchanges - first.prefill.exchanges, "exchanges in prefill"},
         {other.decode.work - first.decode.work, "work in decode"},
         {other.decode.exchanges - first.decode.exchanges, "exchanges in decode"}}};
    std::ranges::sort(parts, std::greater<>(),
                      [](auto const& part) { return std::abs(part.first); });
    if (parts.front().first == 0.0) return "the same times";
    std::string text;
    for (auto const& [seconds, name] : parts) {
        if (std::abs(seconds) < 0.05 * std::abs(parts.front().first)) continue;
        text += (text.empty() ? "" : ", ") + readable_seconds(std::abs(seconds)) +
                (seconds >= 0 ? " less " : " more ") + std::string(name);
    }
    return text;
}

std::string memory_difference(RankedPlan const& first, RankedPlan const& other) {
    if (first.most_bytes == other.most_bytes) return "";
    bool const less = first.most_bytes < other.most_bytes;
    std::size_t const bytes =
        less ? other.most_bytes - first.most_bytes : first.most_bytes - other.most_bytes;
    return "; " + readable_bytes(bytes) + (less ? " less" : " more") + " on the largest rank";
}

}  // namespace

io::PlanPrediction predict(model::PlannerInput const& input, model::PlacementPlan const& plan,
                           std::string machine_note) {
    model::Predictor const predictor(input.machine, input.model, input.workload);
    if (input.model.options.weights == model::WeightFormat::fp8) {
        machine_note +=
            "; nobody measured fp8 weights: the times of bf16 ones, less half of what reading "
            "them takes";
    }
    return {std::move(machine_note), predictor.times_of_encoding(plan),
            predictor.times_of(plan, Phase::prefill), predictor.times_of(plan, Phase::decode)};
}

std::vector<RankedPlan> search_plans(model::PlannerInput const& input) {
    auto plans = model::best_plans(input, shown_plans);
    if (!plans.empty()) return plans;
    throw kernels::InputError(
        "no plan fits " + readable_bytes(*input.bytes_per_rank) + " on each of " +
        std::to_string(input.model.ranks) + " rank(s): the smallest preset needs " +
        readable_bytes(least_bytes(input)) +
        " on one of them; use more ranks, or a smaller batch or shorter sequences");
}

void print_search(std::ostream& out, std::span<RankedPlan const> plans,
                  std::span<model::ModuleSpec const> modules) {
    out << "the best plans by predicted time of a batch:\n";
    bool const encodes = model::is_vision(modules.front().name);
    std::vector<std::string> titles{"",          "placement",    "total",     "prefill: work",
                                    "exchanges", "decode: work", "exchanges", "largest rank"};
    if (encodes) titles.insert(titles.begin() + 3, {"encoding: work", "exchanges"});
    Table table(std::move(titles));
    int number = 0;
    for (auto const& plan : plans) {
        std::vector<std::string> row{std::to_string(++number),
                                     model::wish_for(plan.plan, modules),
                                     readable_seconds(plan.seconds()),
                                     readable_seconds(plan.prefill.work),
                                     readable_seconds(plan.prefill.exchanges),
                                     readable_seconds(plan.decode.work),
                                     readable_seconds(plan.decode.exchanges),
                                     readable_bytes(plan.most_bytes)};
        if (encodes) {
            row.insert(row.begin() + 3, {readable_seconds(plan.encode.work),
                                         readable_seconds(plan.encode.exchanges)});
        }
        table.add(std::move(row));
    }
    table.print(out);
    out << "what decided:\n";
    for (std::size_t i = 1; i < plans.size(); ++i) {
        out << "  1 against " << i + 1 << ": " << differences(plans[0], plans[i])
            << memory_difference(plans[0], plans[i]);
        if (plans[i].seconds() < plans[0].seconds()) {
            out << "; " << i + 1 << " is faster by less than a measurement can tell";
        }
        out << '\n';
    }
    out << '\n';
}

}  // namespace tesserank::app
