#include "model/placement_rules.hpp"

#include "kernels/error.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::InputError;

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    auto const first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// How many characters must be put in, left out or replaced.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t const replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

std::string nearest_names(std::span<ModuleSpec const> modules, std::string_view pattern) {
    std::vector<std::pair<std::size_t, std::string_view>> names;
    for (auto const& module : modules) {
        if (module.kind == ModuleKind::norm) continue;
        names.emplace_back(edit_distance(pattern, module.name), module.name);
    }
    std::ranges::stable_sort(names, {}, [](auto const& entry) { return entry.first; });
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 3); ++i) {
        text += (text.empty() ? "" : ", ") + std::string(names[i].second);
    }
    return text;
}

bool matches(std::string const& pattern, ModuleSpec const& module) {
    return module.kind != ModuleKind::norm && fnmatch(pattern.c_str(), module.name.c_str(), 0) == 0;
}

Placement parse_placement(std::string_view word, std::string_view rule, int ranks) {
    auto const placement = placement_from_name(word);
    if (!placement) {
        throw InputError("--placement rule " + quoted(rule) + ": " + quoted(word) +
                         " is no placement, expected shard, replicate, split-batch or single:RANK");
    }
    if (placement->kind == Placement::Kind::single && placement->rank >= ranks) {
        throw InputError("--placement rule " + quoted(rule) + ": there is no rank " +
                         std::to_string(placement->rank) + " in a job of " + std::to_string(ranks) +
                         " rank(s)");
    }
    return *placement;
}

void apply_rule(PlacementPlan& plan, std::span<ModuleSpec const> modules, std::string_view rule) {
    auto const equals = rule.find('=');
    if (equals == std::string_view::npos) {
        throw InputError("--placement is " + quoted(rule) + ", expected auto, a preset (" +
                         std::string(preset_names) +
                         "), a plan file, or rules such as '*.attention=replicate'");
    }
    std::string const pattern(trimmed(rule.substr(0, equals)));
    auto const placement = parse_placement(trimmed(rule.substr(equals + 1)), rule, plan.ranks);
    bool found = false;
    for (auto const& module : modules) {
        if (!matches(pattern, module)) continue;
        plan.placements[module.name] = placement;
        found = true;
    }
    if (found) return;
    bool const norms = std::ranges::any_of(modules, [&](auto const& module) {
        return fnmatch(pattern.c_str(), module.name.c_str(), 0) == 0;
    });
    throw InputError(
        "--placement rule " + quoted(rule) + ": " + quoted(pattern) +
        (norms ? " matches norms alone, which are always replicated"
               : " matches no module; the nearest names are " + nearest_names(modules, pattern)));
}

/// What a preset says of attention, and of the other modules.
struct Preset {
    std::string_view name;
    Placement attention, others;
};
constexpr std::array preset_table{
    Preset{"shard", Placement::shard, Placement::shard},
    Preset{"replicate", Placement::replicate, Placement::replicate},
    Preset{"split-batch", Placement::split_batch, Placement::split_batch},
    Preset{"replicate-attention", Placement::replicate, Placement::shard},
    Preset{"split-batch-attention", Placement::split_batch, Placement::shard},
};

/// Of most of these modules; of equally frequent ones the one that comes first.
Placement usual_placement(PlacementPlan const& plan, std::span<ModuleSpec const* const> modules) {
    std::vector<std::pair<Placement, std::size_t>> counts;
    for (auto const* const module : modules) {
        auto const placement = plan.of(module->name);
        auto const found =
            std::ranges::find(counts, placement, [](auto const& c) { return c.first; });
        if (found == counts.end()) {
            counts.emplace_back(placement, 1);
        } else {
            ++found->second;
        }
    }
    return std::ranges::max_element(counts, {}, [](auto const& c) { return c.second; })->first;
}

}  // namespace

std::span<std::string_view const> presets() {
    static auto const names = [] {
        std::array<std::string_view, preset_table.size()> list;
        std::ranges::transform(preset_table, list.begin(), &Preset::name);
        return list;
    }();
    return names;
}

bool is_preset(std::string_view word) {
    return std::ranges::find(presets(), word) != presets().end();
}

std::string wish_for(PlacementPlan const& plan, std::span<ModuleSpec const> modules) {
    if (plan.ranks == 1) return name_of(Placement::replicate);
    for (auto const preset : presets()) {
        if (make_plan(modules, preset, plan.ranks).placements == plan.placements) {
            return std::string(preset);
        }
    }
    std::string wish;
    auto const add = [&](std::string const& pattern, Placement placement) {
        wish += (wish.empty() ? "" : ",") + pattern + "=" + name_of(placement);
    };
    bool const vision = is_vision(modules.front().name);
    for (std::string const pattern :
         {"vision.embedding", "vision.*.attention", "vision.*.mlp", "vision.projector", "embedding",
          vision ? "layers.*.attention" : "*.attention", vision ? "layers.*.mlp" : "*.mlp",
          "lm_head"}) {
        std::vector<ModuleSpec const*> alike;
        for (auto const& module : modules) {
            if (matches(pattern, module)) alike.push_back(&module);
        }
        if (alike.empty()) continue;
        auto const usual = usual_placement(plan, alike);
        add(pattern, usual);
        for (auto const* const module : alike) {
            auto const own = plan.of(module->name);
            if (own != usual) add(module->name, own);
        }
    }
    return wish;
}

PlacementPlan make_plan(std::span<ModuleSpec const> modules, std::string_view wish, int ranks) {
    wish = trimmed(wish);
    auto const preset = std::ranges::find(preset_table, wish, &Preset::name);
    PlacementPlan plan{.ranks = ranks, .placements = {}, .streams = {}};
    for (auto const& module : modules) {
        auto placement = Placement::shard;
        if (preset != preset_table.end()) {
            placement = module.kind == ModuleKind::attention ? preset->attention : preset->others;
        }
        bool const norm = module.kind == ModuleKind::norm;
        plan.placements[module.name] = norm ? Placement::replicate : placement;
    }
    for (std::string_view left = preset == preset_table.end() ? wish : "";
         preset == preset_table.end();) {
        auto const comma = left.find(',');
        apply_rule(plan, modules, trimmed(left.substr(0, comma)));
        if (comma == std::string_view::npos) break;
        left.remove_prefix(comma + 1);
    }
    if (ranks == 1) {
        for (auto& [name, placement] : plan.placements) placement = Placement::replicate;
    }
    return plan;
}

}  // namespace tesserank::model
