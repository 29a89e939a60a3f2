#include "model/plan_choice.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

/// A plan for the text model with one for the encoder, by their numbers.
struct Pair {
    std::size_t text = 0, vision = 0;
    double seconds = 0.0;
};

std::vector<Pair> sorted_pairs(PlanChoice const& choice) {
    std::vector<Pair> pairs;
    pairs.reserve(choice.texts.size() * choice.visions.size());
    for (std::size_t text = 0; text < choice.texts.size(); ++text) {
        for (std::size_t vision = 0; vision < choice.visions.size(); ++vision) {
            pairs.push_back(
                {text, vision, choice.texts[text].seconds() + choice.visions[vision].cost.total()});
        }
    }
    std::ranges::stable_sort(pairs, {}, &Pair::seconds);
    return pairs;
}

RankedPlan joined(RankedPlan plan, RankedVision const& vision, std::size_t most_bytes) {
    plan.plan.placements.insert(vision.plan.placements.begin(), vision.plan.placements.end());
    plan.plan.streams.insert(vision.plan.streams.begin(), vision.plan.streams.end());
    plan.encode = vision.cost;
    plan.most_bytes = most_bytes;
    return plan;
}

/// Whether a plan differs from all these in more than the modules that decide little.
bool is_new(PlacementPlan plan, std::vector<RankedPlan> const& known) {
    return std::ranges::none_of(known, [&](RankedPlan const& other) {
        for (auto const* name : {"embedding", "vision.embedding", "vision.projector"}) {
            auto const found = other.plan.placements.find(name);
            if (found != other.plan.placements.end()) plan.placements[name] = found->second;
        }
        return plan.placements == other.plan.placements;
    });
}

}  // namespace

std::size_t most_bytes_of(PlanMemory const& text, PlanMemory const& vision) {
    std::size_t most = 0;
    for (std::size_t rank = 0; rank < text.size(); ++rank) {
        auto both = text[rank];
        both += vision[rank];
        most = std::max(most, both.total());
    }
    return most;
}

std::vector<RankedPlan> choose_plans(PlanChoice const& choice, std::size_t count) {
    constexpr double noise = 0.01;
    std::vector<PlanMemory> text_memory(choice.texts.size());  // of those that were asked for
    std::optional<RankedPlan> leader;
    std::vector<RankedPlan> others;
    double bound = 0.0;
    for (auto const& [text, vision, seconds] : sorted_pairs(choice)) {
        if (leader && seconds > bound && others.size() >= count) break;
        auto& memory = text_memory[text];
        if (memory.empty()) memory = choice.text_memory(choice.texts[text].plan);
        std::size_t const bytes = most_bytes_of(memory, choice.vision_memory[vision]);
        if (choice.bytes_per_rank && bytes > *choice.bytes_per_rank) continue;
        auto ranked = joined(choice.texts[text], choice.visions[vision], bytes);
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

}  // namespace tesserank::model
