#include "model/machine_costs.hpp"

#include "model/exchange_list.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;

/// What modules of equal work have in common: layers differ in their windows or dtypes at most.
std::string kind_of_work(PlannedWork const& model, ModuleSpec const& module) {
    auto text = std::to_string(static_cast<int>(module.kind)) + "," +
                std::to_string(window_of(model.config, module));
    for (auto const& weight : module.weights) {
        text += "," + std::string(kernels::name_of(model.dtype_of(weight.tensor)));
    }
    return text;
}

/// The value of `key`, computed when it is first asked for.
template <class Map, class Compute>
double remembered(Map& map, typename Map::key_type const& key, Compute const& compute) {
    auto const found = map.find(key);
    if (found != map.end()) return found->second;
    double const value = compute();
    map.emplace(key, value);
    return value;
}

}  // namespace

MachineCosts::MachineCosts(Machine const& machine, PlannedWork model,
                           std::vector<CountedLoad> loads, CostPart part)
    : machine_{machine}, model_{model}, loads_{std::move(loads)}, part_{part} {}

std::size_t MachineCosts::passes() const {
    std::size_t count = 0;
    for (auto const& load : loads_) count += load.count;
    return count;
}

double MachineCosts::exchange(Collective kind, Rows rows) const {
    return remembered(exchanges_, {kind, rows}, [&] {
        double seconds = 0.0;
        for (auto const& [load, count] : loads_) {
            std::size_t const bytes = exchange_bytes(load, rows);
            if (bytes == 0) continue;
            seconds += static_cast<double>(count) * exchange_seconds(kind, bytes);
        }
        return seconds;
    });
}

double MachineCosts::work(ModuleSpec const& module, Placement placement) const {
    return remembered(work_, {kind_of_work(model_, module), name_of(placement)}, [&] {
        return slowest(
            [&](StepLoad const& load) { return works_of(model_, module, placement, load); });
    });
}

double MachineCosts::within(ModuleSpec const& module, Placement placement) const {
    return sum_of_exchanges(
        [&](StepLoad const& load) { return exchanges_of_module(module, placement, load); });
}

double MachineCosts::norm(parallel::LayoutKind stream) const {
    return remembered(norms_, name_of(stream), [&] {
        return slowest(
            [&](StepLoad const& load) { return norm_works_of(model_, hidden(), stream, load); });
    });
}

double MachineCosts::end(ModuleSpec const& /*last*/, Placement placement) const {
    return sum_of_exchanges(
        [&](StepLoad const& load) { return exchanges_at_end(placement, load); });
}

/// Over all loads.
template <class ExchangesOf>
double MachineCosts::sum_of_exchanges(ExchangesOf const& exchanges_of_load) const {
    if (model_.ranks == 1) return 0.0;
    double seconds = 0.0;
    for (auto const& [load, count] : loads_) {
        for (auto const& exchange : exchanges_of_load(load)) {
            seconds += static_cast<double>(count) * exchange_seconds(exchange.kind, exchange.bytes);
        }
    }
    return seconds;
}

double MachineCosts::exchange_seconds(Collective kind, std::size_t bytes) const {
    if (part_ == CostPart::all) return machine_.collective_seconds(kind, bytes);
    return part_ == CostPart::starts ? machine_.collective_seconds(kind, 1) : 0.0;
}

double MachineCosts::gemm_seconds(GemmWork work, Busy busy) const {
    if (part_ == CostPart::weights) work.rows = std::min<std::size_t>(work.rows, 1);
    bool const counted =
        part_ == CostPart::all || part_ == CostPart::gemm || part_ == CostPart::weights;
    return counted ? machine_.gemm_seconds(work, busy) : 0.0;
}

double MachineCosts::seconds_of(ModuleWork const& work, Busy busy) const {
    auto const counts = [this](CostPart part) { return part_ == CostPart::all || part_ == part; };
    double seconds = 0.0;
    for (auto const& gemm : work.gemms) seconds += gemm_seconds(gemm, busy);
    if (work.attention && counts(CostPart::attention)) {
        seconds += machine_.attention_seconds(*work.attention, busy);
    }
    if (counts(CostPart::elementwise)) seconds += machine_.pass_seconds(work.pass_bytes, busy);
    return seconds;
}

/// Over all loads, the time of the rank with most to do.
template <class WorksOf>
double MachineCosts::slowest(WorksOf const& works_of_load) const {
    double sum = 0.0;
    for (auto const& [load, count] : loads_) {
        auto const works = works_of_load(load);
        double most = 0.0;
        for (auto const& work : works.different) {
            most = std::max(most, seconds_of(work, works.busy));
        }
        sum += static_cast<double>(count) * most;
    }
    return sum;
}

std::size_t TextCosts::exchange_bytes(StepLoad const& load, Rows rows) const {
    auto const dtype = rows == Rows::stream ? DType::f32 : model().options.compute;
    std::size_t const count = rows == Rows::outputs ? load.shape.outputs : load.shape.rows;
    return count * hidden() * kernels::size_of(dtype);
}

std::vector<Exchange> TextCosts::exchanges_of_module(ModuleSpec const& module, Placement placement,
                                                     StepLoad const& load) const {
    return exchanges_within(model().config.qk_norm, module.name, module.kind, placement,
                            load.shape.rows);
}

std::vector<Exchange> TextCosts::exchanges_at_end(Placement placement, StepLoad const& load) const {
    return exchanges_of_choice(model().config, placement, model().ranks, model().options,
                               load.shape);
}

/// What the projector takes is moved in f32: it norms for itself.
std::size_t VisionCosts::exchange_bytes(StepLoad const& load, Rows rows) const {
    if (rows == Rows::outputs) return load.shape.outputs * config().shuffled() * sizeof(float);
    auto const dtype = rows == Rows::stream ? DType::f32 : model().options.compute;
    return load.shape.rows * hidden() * kernels::size_of(dtype);
}

std::vector<Exchange> VisionCosts::exchanges_of_module(ModuleSpec const& module,
                                                       Placement placement,
                                                       StepLoad const& load) const {
    ExchangeList list;
    if (module.kind == ModuleKind::patch_embedding) {
        std::size_t const pixels = load.batch * config().patches() * config().patch_width();
        list.add({module.name, Exchange::Place::before},
                 parallel::LayoutKind::on_rank(choosing_rank), input_of(placement),
                 pixels * kernels::size_of(model().options.compute));
    }
    list.add(
        exchanges_within(config().qk_norm, module.name, module.kind, placement, load.shape.rows));
    return list.take();
}

std::vector<Exchange> VisionCosts::exchanges_at_end(Placement placement,
                                                    StepLoad const& load) const {
    ExchangeList list;
    list.add({"vision.projector", Exchange::Place::behind},
             output_of(placement, ModuleKind::projector), {},
             load.shape.outputs * config().features * sizeof(float));
    return list.take();
}

}  // namespace tesserank::model
