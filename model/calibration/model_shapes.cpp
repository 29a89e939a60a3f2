#include "model/attention.hpp"
#include "model/calibration_shapes.hpp"
#include "model/candidates.hpp"
#include "model/module_spec.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace tesserank::model {
namespace {

using parallel::Partition;
using Phase = Step::Phase;

constexpr std::array matrix_roles{Role::qkv, Role::output, Role::gate_up, Role::down, Role::table};

template <class T>
void add_once(std::vector<T>& list, T const& element) {
    if (std::ranges::find(list, element) == list.end()) list.push_back(element);
}

/// Row counts that matter to a module's work.
struct Rows {
    std::set<std::size_t> all;    ///< of a step
    std::set<std::size_t> dealt;  ///< of one rank, when sequences are dealt out
};

void add_rows(Rows& rows, std::size_t count, int ranks) {
    rows.all.insert(count);
    Partition const deal(count, ranks);
    for (int const rank : {0, ranks - 1}) rows.dealt.insert(deal.count(rank));
    rows.dealt.erase(0);
}

/// The longest and the shortest step; those between are interpolated.
std::vector<StepShape> extremes(std::vector<StepShape> const& shapes) {
    auto const [least, most] = std::ranges::minmax(shapes, {}, &StepShape::rows);
    return {least, most};
}

class ModelShapes {
  public:
    ModelShapes(CalibrationRequest& request, ModelRun const& run)
        : request_{request}, run_{run}, config_{run.config} {
        auto const& workload = run.workload;
        std::size_t const most_rows = run.options.max_rows;
        for (auto const& shape : extremes(prefill_shapes(workload, 1, most_rows))) {
            add_rows(prefill_, shape.rows, run.ranks);
            add_logits(shape.outputs);
        }
        for (auto const& shape : extremes(decode_shapes(workload, most_rows))) {
            add_rows(decode_, shape.rows, run.ranks);
            add_logits(shape.outputs);
        }
    }

    void add() {
        for (auto const& module : describe_modules(config_)) {
            if (module.kind != ModuleKind::embedding) add_matrices(module);
        }
        std::set<std::size_t> const windows(config_.windows.begin(), config_.windows.end());
        for (auto const window : windows) add_attentions(window);
        add_messages();
    }

  private:
    void add_logits(std::size_t outputs) {
        if (outputs > 0) {
            add_rows(outputs_, std::min(outputs, run_.options.max_logit_rows), run_.ranks);
        }
    }

    void add_matrices(ModuleSpec const& module) {
        for (auto const role : matrix_roles) {
            auto const whole = matrix_of(module, role, Placement::replicate, 0);
            if (whole.outputs == 0) continue;
            if (module.kind == ModuleKind::lm_head) {
                add_matrix(whole, outputs_);
            } else {
                add_matrix(whole, prefill_);
                add_matrix(whole, decode_);
            }
            for (int const rank : {0, run_.ranks - 1}) {
                auto const cut = matrix_of(module, role, Placement::shard, rank);
                if (module.kind == ModuleKind::lm_head) {
                    add_rows_of(cut, outputs_.all, Busy::all);
                } else {
                    add_rows_of(cut, prefill_.all, Busy::all);
                    add_rows_of(cut, decode_.all, Busy::all);
                }
            }
        }
    }

    /// The stacked weights of one role on a rank.
    GemmWork matrix_of(ModuleSpec const& module, Role role, Placement placement, int rank) const {
        GemmWork work{.input = run_.options.compute};
        for (auto const& weight : module.weights) {
            if (weight.role != role) continue;
            auto const region = regions_of(weight, module.units, placement,
                                           run_.ranks)[static_cast<std::size_t>(rank)];
            work.weight = run_.dtype_of(weight.tensor);
            work.outputs += region.rows.count;
            work.inputs = region.cols.count;
        }
        return work;
    }

    void add_matrix(GemmWork const& whole, Rows const& rows) {
        add_rows_of(whole, rows.all, Busy::all);
        add_rows_of(whole, rows.dealt, Busy::all);
        add_rows_of(whole, rows.all, Busy::one);
    }

    void add_rows_of(GemmWork work, std::set<std::size_t> const& rows, Busy busy) {
        if (work.outputs == 0 || work.inputs == 0) return;
        for (auto const count : rows) {
            work.rows = count;
            add_once(request_.gemms, {work, busy});
        }
    }

    void add_attentions(std::size_t window) {
        auto const& workload = run_.workload;
        // The mean over a prompt, and over the new tokens.
        add_heads(Phase::prefill, prefill_, (workload.prompt + 1) / 2, window);
        add_heads(Phase::decode, decode_, workload.prompt + workload.new_tokens / 2, window);
        // The first and the last piece of a prompt that takes several steps.
        std::size_t const piece = run_.options.max_rows;
        if (workload.prompt <= piece) return;
        add_heads(Phase::prefill, prefill_, (piece + 1) / 2, window);
        add_heads(Phase::prefill, prefill_, workload.prompt - piece / 2, window);
    }

    void add_heads(Phase phase, Rows const& rows, std::size_t context, std::size_t window) {
        if (window > 0) context = std::min(context, window);
        auto const whole = local_heads(config_, Placement::replicate, 0, run_.ranks);
        add_heads(phase, whole, rows.all, context, Busy::all);
        add_heads(phase, whole, rows.dealt, context, Busy::all);
        add_heads(phase, whole, rows.all, context, Busy::one);
        for (int const rank : {0, run_.ranks - 1}) {
            auto const cut = local_heads(config_, Placement::shard, rank, run_.ranks);
            add_heads(phase, cut, rows.all, context, Busy::all);
        }
    }

    void add_heads(Phase phase, LocalHeads const& heads, std::set<std::size_t> const& rows,
                   std::size_t context, Busy busy) {
        if (heads.query.count == 0) return;
        for (auto const count : rows) {
            add_once(request_.attentions, {{.phase = phase,
                                            .cache = run_.options.compute,
                                            .rows = count,
                                            .context = context,
                                            .query_heads = heads.query.count,
                                            .kv_heads = heads.kv.count,
                                            .head_dim = config_.head_dim},
                                           busy});
        }
    }

    /// Of activations in both precisions, of logits and of what is chosen from them.
    void add_messages() {
        auto& bytes = request_.message_bytes;
        for (auto const* rows : {&prefill_.all, &decode_.all}) {
            for (auto const count : *rows) {
                add_once(bytes, count * config_.hidden * sizeof(float));
                add_once(bytes, count * config_.hidden * kernels::size_of(run_.options.compute));
            }
        }
        for (auto const count : outputs_.all) {
            add_once(bytes, count * sizeof(Choice));
            if (run_.workload.candidates == 0) {
                add_once(bytes, count * config_.vocabulary * sizeof(float));
            }
        }
    }

    CalibrationRequest& request_;
    ModelRun const& run_;
    DecoderConfig const& config_;
    Rows prefill_, decode_, outputs_;
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
