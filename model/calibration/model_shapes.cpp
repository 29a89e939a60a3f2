#include "model/calibration_shapes.hpp"
#include "model/module_work.hpp"
#include "model/vision_work.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace tesserank::model {
namespace {

template <class T>
void add_once(std::vector<T>& list, T const& element) {
    if (std::ranges::find(list, element) == list.end()) list.push_back(element);
}

constexpr std::array placements{Placement::shard, Placement::replicate, Placement::split_batch,
                                Placement::single(0)};

/// What a search for a plan will ask of the machine.
class ModelShapes {
  public:
    ModelShapes(CalibrationRequest& request, ModelRun const& run)
        : request_{request},
          run_{run},
          model_{run.config, run.options, run.dtype_of, run.ranks},
          modules_{describe_text(run.config)} {}

    void add() {
        for (auto const phase : {Step::Phase::prefill, Step::Phase::decode}) {
            for (auto const& [load, count] : loads_of(run_.workload, run_.options, 1, phase)) {
                add_step(load);
            }
        }
        add_encoding();
    }

  private:
    void add_step(StepLoad const& load) {
        for (auto const placement : placements) {
            for (auto const& module : modules_) {
                if (module.kind != ModuleKind::norm) add(works_of(model_, module, placement, load));
            }
            if (run_.ranks > 1) {
                add(exchanges_of_choice(run_.config, placement, run_.ranks, run_.options,
                                        load.shape));
            }
        }
        add_activations(load.shape);
    }

    void add_encoding() {
        auto const modules = describe_vision(run_.config);
        if (modules.empty()) return;
        auto const compute = kernels::size_of(run_.options.compute);
        auto const& vision = *run_.config.vision;
        for (auto const& [load, count] :
             vision_loads_of(run_.config, {.ranks = run_.ranks, .placements = {}, .streams = {}},
                             run_.options, run_.workload)) {
            for (auto const placement : placements) {
                for (auto const& module : modules) {
                    if (module.kind != ModuleKind::norm) {
                        add(works_of(model_, module, placement, load));
                    }
                }
            }
            for (std::size_t const bytes : {load.shape.rows * vision.hidden * sizeof(float),
                                            load.shape.rows * vision.hidden * compute,
                                            load.shape.outputs * vision.shuffled() * sizeof(float),
                                            load.shape.outputs * vision.features * sizeof(float)}) {
                add_once(request_.message_bytes, bytes);
            }
        }
    }

    void add(RanksWork const& ranks) {
        for (auto const& work : ranks.different) {
            for (auto gemm : work.gemms) {
                // From these a machine concludes what the others take.
                if (gemm.weight == kernels::DType::f8e4m3) gemm.weight = kernels::DType::bf16;
                add_once(request_.gemms, {gemm, ranks.busy});
            }
            if (work.attention) add_once(request_.attentions, {*work.attention, ranks.busy});
        }
    }

    void add(std::vector<Exchange> const& exchanges) {
        for (auto const& exchange : exchanges) add_once(request_.message_bytes, exchange.bytes);
    }

    /// The residual stream, and what modules take.
    void add_activations(StepShape const& shape) {
        std::size_t const hidden = run_.config.hidden;
        std::size_t const compute = kernels::size_of(run_.options.compute);
        add_once(request_.message_bytes, shape.rows * hidden * sizeof(float));
        add_once(request_.message_bytes, shape.rows * hidden * compute);
        if (shape.outputs > 0) {
            add_once(request_.message_bytes, shape.outputs * hidden * compute);
        }
    }

    CalibrationRequest& request_;
    ModelRun const& run_;
    PlannedWork model_;
    std::vector<ModuleSpec> modules_;
};

std::size_t weight_bytes(ModelRun const& run) {
    std::size_t bytes = 0;
    for (auto const& module : describe_modules(run.config)) {
        for (auto const& weight : module.weights) {
            bytes += weight.rows * weight.cols * kernels::size_of(run.dtype_of(weight.tensor));
        }
    }
    return bytes;
}

}  // namespace

void add_model_shapes(CalibrationRequest& request, ModelRun const& run) {
    ModelShapes(request, run).add();
}

CalibrationRequest quick_calibration(ModelRun const& run, double seconds) {
    CalibrationRequest request;
    request.seconds = seconds;
    request.cold_bytes = std::clamp(weight_bytes(run), std::size_t{1} << 20, request.cold_bytes);
    request.passes = pass_sizes();
    request.message_bytes = {sizeof(float)};
    add_model_shapes(request, run);
    return request;
}

}  // namespace tesserank::model
