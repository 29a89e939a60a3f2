#include "io/plan_report.hpp"

#include "io/requests/json_text.hpp"
#include "parallel/collective.hpp"
#include "parallel/partition.hpp"

#include <array>
#include <span>
#include <vector>

namespace tesserank::io {
namespace {

std::string_view name_of_kind(model::ModuleKind kind) {
    constexpr std::array<std::string_view, 7> names{
        "embedding", "norm", "attention", "mlp", "lm_head", "patch_embedding", "projector"};
    return names.at(static_cast<std::size_t>(kind));
}

template <class List, class ToJson>
std::string json_list(List const& list, ToJson const& to_json) {
    std::string text;
    for (auto const& entry : list) text += (text.empty() ? "" : ",\n") + to_json(entry);
    return "[" + text + "]";
}

std::string module_json(model::ModuleFacts const& module) {
    std::vector<std::size_t> units, begins;
    for (auto const& range : module.units) {
        units.push_back(range.count);
        begins.push_back(range.begin);
    }
    JsonObject row;
    row.add("name", module.name)
        .add("kind", name_of_kind(module.kind))
        .add("placement", name_of(module.placement))
        .add("input", name_of(module.input))
        .add("output", name_of(module.output));
    if (module.stream) row.add("stream", name_of(*module.stream));
    return row.add("units", std::span<std::size_t const>(units))
        .add("unit_begins", std::span<std::size_t const>(begins))
        .add("weight_bytes", std::span<std::size_t const>(module.weight_bytes))
        .close();
}

std::string ranks_json(model::PlanFacts const& facts) {
    bool const dealt = facts.plan.deals_sequences(), tiles_dealt = facts.plan.deals_tiles();
    parallel::Partition const sequences(facts.workload.batch, facts.plan.owners());
    parallel::Partition const tiles(facts.workload.all_tiles(), facts.plan.ranks);
    int number = 0;
    return json_list(facts.ranks, [&](model::RankFacts const& rank) {
        JsonObject row;
        row.add("weight_bytes", rank.weight_bytes)
            .add("load_bytes", rank.load_bytes)
            .add("cache_bytes", rank.cache_bytes)
            .add("workspace_bytes", rank.forward_bytes)
            .add("vision_bytes", rank.vision_bytes)
            .add("feature_bytes", rank.feature_bytes)
            .add("picture_bytes", rank.picture_bytes)
            .add("released_bytes", rank.released_bytes)
            .add("total_bytes", rank.total());
        if (dealt) row.add("sequences", sequences.count(number));
        if (tiles_dealt) row.add("tiles", tiles.count(number));
        ++number;
        return row.close();
    });
}

std::string exchange_json(model::Exchange const& exchange) {
    static constexpr std::array<std::string_view, 3> places{"before", "within", "behind"};
    return JsonObject()
        .add("module", exchange.module)
        .add("place", places.at(static_cast<std::size_t>(exchange.place)))
        .add("collective", parallel::name_of(exchange.kind))
        .add("bytes", exchange.bytes)
        .add("from", name_of(exchange.from))
        .add("to", name_of(exchange.to))
        .close();
}

std::string step_json(model::StepFacts const& step) {
    return JsonObject()
        .add("rows", step.shape.rows)
        .add("outputs", step.shape.outputs)
        .add("count", step.count)
        .add_json("exchanges", json_list(step.exchanges, exchange_json))
        .close();
}

std::string encode_json(model::EncodeFacts const& step) {
    return JsonObject()
        .add("tiles", step.tiles)
        .add("count", step.count)
        .add_json("exchanges", json_list(step.exchanges, exchange_json))
        .close();
}

std::string phase_json(model::PhaseTimes const& times) {
    return JsonObject()
        .add("steps", times.steps)
        .add("seconds", times.cost.total())
        .add("work_seconds", times.cost.work)
        .add("exchange_seconds", times.cost.exchanges)
        .add("limit", times.limit)
        .close();
}

std::string prediction_json(PlanPrediction const& prediction) {
    return JsonObject()
        .add("machine", prediction.machine)
        .add_json("encode", phase_json(prediction.encode))
        .add_json("prefill", phase_json(prediction.prefill))
        .add_json("decode", phase_json(prediction.decode))
        .close();
}

std::string workload_json(model::Workload const& workload) {
    return JsonObject()
        .add("batch", workload.batch)
        .add("prompt", workload.prompt)
        .add("new_tokens", workload.new_tokens)
        .add("tiles", workload.tiles)
        .close();
}

}  // namespace

std::string plan_report_json(model::PlanFacts const& facts, PlanPrediction const& prediction,
                             std::string_view title) {
    return JsonObject()
        .add("title", title)
        .add("ranks", facts.plan.ranks)
        .add("backend", facts.backend)
        .add("process_bytes", usual_process_bytes)
        .add_json("workload", workload_json(facts.workload))
        .add_json("modules", json_list(facts.modules, module_json))
        .add_json("by_rank", ranks_json(facts))
        .add_json("batch_start", json_list(facts.start, exchange_json))
        .add_json("encode", json_list(facts.encode, encode_json))
        .add_json("prefill", json_list(facts.prefill, step_json))
        .add_json("decode", json_list(facts.decode, step_json))
        .add("notes", std::span<std::string const>(facts.notes))
        .add_json("predicted", prediction_json(prediction))
        .close();
}

}  // namespace tesserank::io
