#include "app/plan_table.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <utility>

namespace tesserank::app {
namespace {

using model::ModuleFacts;
using model::ModuleKind;

std::string list_of(std::vector<std::string> const& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size();) {
        std::size_t same = 1;
        while (i + same < words.size() && words[i + same] == words[i]) ++same;
        text += (text.empty() ? "" : ", ") + words[i];
        if (same > 1) text += " x" + std::to_string(same);
        i += same;
    }
    return text;
}

std::string_view unit_name(ModuleKind kind) {
    switch (kind) {
        case ModuleKind::attention:
            return "heads";
        case ModuleKind::mlp:
        case ModuleKind::patch_embedding:
        case ModuleKind::projector:
            return "columns";
        case ModuleKind::embedding:
        case ModuleKind::lm_head:
            return "rows";
        case ModuleKind::norm:
            break;
    }
    return "";
}

std::string cut_of(ModuleFacts const& module) {
    if (module.placement.kind == model::Placement::Kind::split_batch) {
        return model::is_vision(module.name) ? "tiles" : "sequences";
    }
    if (module.placement.kind != model::Placement::Kind::shard) return "whole";
    std::vector<std::string> counts;
    counts.reserve(module.units.size());
    for (auto const& range : module.units) counts.push_back(std::to_string(range.count));
    return std::string(unit_name(module.kind)) + " " + list_of(counts);
}

/// "0-3,5"
std::string ranges_of(std::vector<std::size_t> const& numbers) {
    std::string text;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(numbers[i]);
        if (last > i) text += "-" + std::to_string(numbers[last]);
        i = last + 1;
    }
    return text;
}

/// Things that belong to modules, joined where they are alike but for the layer's number.
class LayerGroups {
  public:
    void add(std::string_view module, std::string const& content) {
        auto const layer = model::layer_of(module);
        std::string const stack(layer ? layer->stack : "");
        std::string const part(layer ? layer->part : module);
        auto const key = std::tuple(stack, part, content);
        auto const found = std::ranges::find(groups_, key, &Group::key);
        auto& group = found == groups_.end() ? groups_.emplace_back(Group{key, {}, 0}) : *found;
        if (layer && (group.layers.empty() || group.layers.back() != layer->layer)) {
            group.layers.push_back(layer->layer);
        }
        ++group.count;
    }

    struct Group {
        /// "layers." and the like, part of a layer, and what stands beside it.
        std::tuple<std::string, std::string, std::string> key;
        std::vector<std::size_t> layers;
        std::size_t count = 0;

        std::string name() const {
            auto const& [stack, part, content] = key;
            return layers.empty() ? part : stack + ranges_of(layers) + "." + part;
        }
        std::string const& content() const { return std::get<2>(key); }
    };
    std::vector<Group> const& groups() const { return groups_; }

  private:
    std::vector<Group> groups_;
};

constexpr char separator = '\t';

std::string joined(std::vector<std::string> const& cells) {
    std::string text;
    for (auto const& cell : cells) text += (text.empty() ? "" : std::string(1, separator)) + cell;
    return text;
}

std::vector<std::string> cells_of(std::string const& text) {
    std::vector<std::string> cells(1);
    for (char const c : text) {
        if (c == separator) {
            cells.emplace_back();
        } else {
            cells.back() += c;
        }
    }
    return cells;
}

void print_modules(std::ostream& out, model::PlanFacts const& facts) {
    LayerGroups groups;
    for (auto const& module : facts.modules) {
        std::vector<std::string> bytes;
        bytes.reserve(module.weight_bytes.size());
        for (auto const size : module.weight_bytes) bytes.push_back(readable_bytes(size));
        groups.add(module.name,
                   joined({name_of(module.placement), cut_of(module), name_of(module.input),
                           name_of(module.output), module.stream ? name_of(*module.stream) : "-",
                           list_of(bytes)}));
    }
    Table table({"module", "placement", "cut by rank", "takes", "gives", "residual stream",
                 "weights by rank, each"});
    for (auto const& group : groups.groups()) {
        auto row = cells_of(group.content());
        row.insert(row.begin(), group.name());
        table.add(std::move(row));
    }
    table.print(out);
}

/// What a rank's memory is for.
struct MemoryColumn {
    std::string_view title;
    std::size_t model::RankFacts::*bytes;
    bool always = false;  ///< even where no rank has any
};
constexpr std::array memory_columns{
    MemoryColumn{"weights", &model::RankFacts::weight_bytes, true},
    MemoryColumn{"KV cache", &model::RankFacts::cache_bytes, true},
    MemoryColumn{"or, while loading", &model::RankFacts::load_bytes},
    MemoryColumn{"or, while encoding", &model::RankFacts::released_bytes},
    MemoryColumn{"workspace", &model::RankFacts::forward_bytes, true},
    MemoryColumn{"encoder's", &model::RankFacts::vision_bytes},
    MemoryColumn{"features", &model::RankFacts::feature_bytes},
    MemoryColumn{"pictures", &model::RankFacts::picture_bytes},
};

void print_ranks(std::ostream& out, model::PlanFacts const& facts) {
    std::vector<MemoryColumn> columns;
    std::vector<std::string> titles{"rank"};
    for (auto const& column : memory_columns) {
        bool const used = std::ranges::any_of(
            facts.ranks, [&](model::RankFacts const& rank) { return rank.*column.bytes > 0; });
        if (!column.always && !used) continue;
        columns.push_back(column);
        titles.emplace_back(column.title);
    }
    titles.emplace_back("total");
    Table table(std::move(titles));
    std::vector<std::size_t> ranks;
    for (std::size_t rank = 0; rank < facts.ranks.size(); ++rank) {
        auto const& mine = facts.ranks[rank];
        ranks.push_back(rank);
        bool const last = rank + 1 == facts.ranks.size();
        if (!last && facts.ranks[rank + 1] == mine) continue;
        std::vector<std::string> row{ranges_of(ranks)};
        for (auto const& column : columns) row.push_back(readable_bytes(mine.*column.bytes));
        row.push_back(readable_bytes(mine.total()));
        table.add(std::move(row));
        ranks.clear();
    }
    table.print(out);
}

/// `what` happens, and what is sent for it.
void print_exchanges(std::ostream& out, std::string const& what, std::size_t count,
                     std::span<model::Exchange const> exchanges) {
    out << '\n' << what << ", " << count << " time(s)";
    if (exchanges.empty()) {
        out << ": nothing is sent\n";
        return;
    }
    out << '\n';
    LayerGroups groups;
    for (auto const& exchange : exchanges) {
        groups.add(exchange.module, joined({name_of(exchange.from) + " -> " + name_of(exchange.to),
                                            std::string(parallel::name_of(exchange.kind)),
                                            readable_bytes(exchange.bytes)}));
    }
    Table table({"around", "layouts", "collective", "bytes each", "times"});
    for (auto const& group : groups.groups()) {
        auto row = cells_of(group.content());
        row.insert(row.begin(), group.name());
        row.push_back(std::to_string(group.count));
        table.add(std::move(row));
    }
    table.print(out);
}

void print_steps(std::ostream& out, std::string const& phase,
                 std::span<model::StepFacts const> steps) {
    for (auto const& step : steps) {
        print_exchanges(out, phase + " step of " + std::to_string(step.shape.rows) + " row(s)",
                        step.count, step.exchanges);
    }
}

/// All steps of a phase, one of them, and what they wait for.
void print_phase(std::ostream& out, std::string_view name, model::PhaseTimes const& times) {
    out << name << ' ' << readable_seconds(times.cost.total());
    if (times.steps == 0) return;
    if (times.steps > 1) {
        double const step = times.cost.total() / static_cast<double>(times.steps);
        out << " (" << readable_seconds(step) << " a step)";
    }
    out << ", of which exchanges " << readable_seconds(times.cost.exchanges) << ", limited by "
        << times.limit;
}

void print_traffic(std::ostream& out, std::string_view phase, Traffic const& traffic,
                   std::string_view end) {
    out << phase << traffic.collectives << " collectives, " << readable_bytes(traffic.bytes) << end;
}

}  // namespace

Traffic traffic_of(std::vector<model::StepFacts> const& steps) {
    Traffic traffic;
    for (auto const& step : steps) traffic.add(step.exchanges, step.count);
    return traffic;
}

Traffic traffic_of(std::vector<model::EncodeFacts> const& steps) {
    Traffic traffic;
    for (auto const& step : steps) traffic.add(step.exchanges, step.count);
    return traffic;
}

void Traffic::add(std::span<model::Exchange const> exchanges, std::size_t times) {
    for (auto const& exchange : exchanges) {
        collectives += times;
        bytes += times * exchange.bytes;
    }
}

void print_plan(std::ostream& out, model::PlanFacts const& facts,
                io::PlanPrediction const& prediction, std::string_view title) {
    auto const& workload = facts.workload;
    out << title << " on " << facts.plan.ranks << " rank(s): batch " << workload.batch
        << ", prompt " << workload.prompt
        << (workload.tiles > 0 ? " with " + std::to_string(workload.tiles) + " tile(s)" : "")
        << ", new tokens " << workload.new_tokens
        << (facts.backend.empty() ? "" : "; backend " + facts.backend) << "\n\n";
    print_modules(out, facts);
    out << '\n';
    print_ranks(out, facts);
    out << "besides, each process takes about " << readable_bytes(io::usual_process_bytes)
        << " of host memory: libraries, MPI, requests\n";
    for (auto const& step : facts.encode) {
        print_exchanges(out, "encoding of " + std::to_string(step.tiles) + " tile(s)", step.count,
                        step.exchanges);
    }
    print_steps(out, "prefill", facts.prefill);
    print_steps(out, "decode", facts.decode);
    out << "\nin all: ";
    if (!facts.encode.empty()) print_traffic(out, "encoding ", traffic_of(facts.encode), "; ");
    print_traffic(out, "prefill ", traffic_of(facts.prefill), "; ");
    print_traffic(out, "decode ", traffic_of(facts.decode), "\n");
    out << "predicted: ";
    if (!facts.encode.empty()) {
        print_phase(out, "encoding", prediction.encode);
        out << "; ";
    }
    print_phase(out, "prefill", prediction.prefill);
    out << "; ";
    print_phase(out, "decode", prediction.decode);
    out << "\n  " << prediction.machine << '\n';
    for (auto const& note : facts.notes) out << "note: " << note << '\n';
}

}  // namespace tesserank::app
