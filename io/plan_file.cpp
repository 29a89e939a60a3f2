#include "io/plan_file.hpp"

#include "io/json_reader.hpp"
#include "io/requests/json_text.hpp"

#include <algorithm>

namespace tesserank::io {
namespace {

using model::ModuleKind;
using model::ModuleSpec;
using model::Placement;
using model::PlacementPlan;

constexpr std::string_view format_name = "tesserank-plan";
constexpr std::int64_t format_version = 1;

void check_rank(JsonNode const& node, int rank, int ranks) {
    if (rank < ranks) return;
    node.fail("there is no rank " + std::to_string(rank) + " in a job of " + std::to_string(ranks) +
              " rank(s)");
}

void read_module(JsonNode const& node, ModuleSpec const& module, PlacementPlan& plan) {
    node.allow_only({"placement", "stream"});
    auto const word = node.at("placement");
    auto const placement = model::placement_from_name(word.string());
    if (!placement) word.fail_expected("shard, replicate, split-batch or single:RANK");
    check_rank(word, placement->rank, plan.ranks);
    plan.placements[module.name] = *placement;
    auto const stream = node.find("stream");
    if (!stream) return;
    if (!module.has_stream()) stream->fail("only attention and MLP modules have a stream");
    auto const layout = parallel::row_layout_from_name(stream->string());
    if (!layout) stream->fail_expected("Replicated, BatchSharded or OnRank(RANK)");
    check_rank(*stream, layout->rank, plan.ranks);
    plan.streams[module.name] = *layout;
}

void check_head(JsonNode const& root, int ranks) {
    root.allow_only({"format", "format_version", "ranks", "modules"});
    auto const format = root.at("format");
    if (format.string() != format_name)
        format.fail_expected("\"" + std::string(format_name) + "\"");
    root.at("format_version").integer(format_version, format_version);
    auto const count = root.at("ranks");
    if (count.integer(1, 1 << 20) != ranks) {
        count.fail_expected(std::to_string(ranks) +
                            ", the number of ranks of this job; make the plan again for it");
    }
}

void check_streams(JsonNode const& modules, PlacementPlan const& plan,
                   std::span<ModuleSpec const> specs) {
    if (plan.streams.empty()) return;
    for (auto const& module : specs) {
        if (module.has_stream() && !plan.streams.contains(module.name)) {
            modules.at(module.name).fail("\"stream\" is missing, though other modules have one");
        }
    }
}

}  // namespace

std::string plan_text(PlacementPlan const& plan, std::span<ModuleSpec const> modules) {
    std::string rows;
    for (auto const& module : modules) {
        if (module.kind == ModuleKind::norm) continue;
        JsonObject row;
        row.add("placement", name_of(plan.of(module.name)));
        if (module.has_stream()) row.add("stream", name_of(plan.stream_of(module.name)));
        rows += rows.empty() ? "\n" : ",\n";
        append_json(rows, module.name);
        rows += ": " + row.close();
    }
    return JsonObject()
               .add("format", format_name)
               .add("format_version", format_version)
               .add("ranks", plan.ranks)
               .add_json("modules", "{" + rows + "}")
               .close() +
           "\n";
}

PlacementPlan parse_plan(std::string_view text, std::string_view origin,
                         std::span<ModuleSpec const> modules, int ranks) {
    JsonDocument const document(text, origin);
    auto const root = document.root();
    check_head(root, ranks);
    PlacementPlan plan{.ranks = ranks, .placements = {}, .streams = {}};
    auto const list = root.at("modules");
    for (auto const& module : modules) {
        if (module.kind == ModuleKind::norm) {
            plan.placements[module.name] = Placement::replicate;
        } else {
            read_module(list.at(module.name), module, plan);
        }
    }
    for (auto const& [name, node] : list.members()) {
        auto const found = std::ranges::find(modules, name, &ModuleSpec::name);
        if (found == modules.end()) node.fail("the model has no such module");
        if (found->kind == ModuleKind::norm) node.fail("norms are always replicated");
    }
    check_streams(list, plan, modules);
    if (ranks == 1) {
        // As make_plan() does: on one rank all placements are the same.
        for (auto& [name, placement] : plan.placements) placement = Placement::replicate;
        plan.streams.clear();
    }
    return plan;
}

}  // namespace tesserank::io
