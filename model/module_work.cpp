#include "model/module_work.hpp"

#include "model/attention.hpp"
#include "model/vision_work.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::LayoutKind;

/// A dealt batch: the rows of the sequences that a rank owns.
std::size_t dealt_rows(std::size_t rows, StepLoad const& load, int rank, int ranks) {
    std::size_t const own = parallel::Partition(load.batch, ranks).count(rank);
    return (rows * own + load.batch - 1) / load.batch;
}

/// One module on one rank.
class Work {
  public:
    Work(PlannedWork const& model, ModuleSpec const& module, Placement placement, int rank)
        : model_{model},
          module_{module},
          placement_{placement},
          rank_{rank},
          units_{units_of(module.units, placement, rank, model.ranks).count} {}

    ModuleWork of(StepLoad const& load) const {
        bool const head = module_.kind == ModuleKind::lm_head;
        std::size_t const rows = rows_on(head ? load.shape.outputs : load.shape.rows, placement_,
                                         load, rank_, model_.ranks);
        if (rows == 0 || units_ == 0) return {};
        switch (module_.kind) {
            case ModuleKind::embedding:
                return embedding(rows);
            case ModuleKind::attention:
                return attention(rows, load);
            case ModuleKind::mlp:
                return mlp(rows);
            case ModuleKind::lm_head:
                return lm_head(rows);
            case ModuleKind::norm:
            case ModuleKind::patch_embedding:
            case ModuleKind::projector:
                break;
        }
        return {};
    }

  private:
    GemmWork gemm(Role role, std::size_t rows, std::size_t outputs, std::size_t inputs) const {
        return {weight_dtype(model_, module_, role), model_.options.compute, rows, outputs, inputs};
    }
    std::size_t compute_size() const { return kernels::size_of(model_.options.compute); }
    std::size_t inner_size() const { return kernels::size_of(model_.options.inner); }

    ModuleWork embedding(std::size_t rows) const {
        std::size_t const read = kernels::size_of(weight_dtype(model_, module_, Role::table));
        return {.gemms = {},
                .attention = {},
                .pass_bytes = rows * model_.config.hidden * (read + sizeof(float))};
    }

    ModuleWork attention(std::size_t rows, StepLoad const& load) const {
        auto const& config = model_.config;
        auto const heads = local_heads(config, placement_, rank_, model_.ranks);
        std::size_t const query = heads.query.count * config.head_dim;
        std::size_t const kv = heads.kv.count * config.head_dim;
        // q and k are read and written when they are rotated, and when they are normed; k and v are
        // copied to the cache.
        std::size_t const turns = config.qk_norm == QkNorm::none ? 1 : 2;
        std::size_t const bytes =
            turns * 2 * inner_size() * (query + kv) + 2 * kv * (inner_size() + compute_size());
        return {.gemms = {gemm(Role::qkv, rows, query + 2 * kv, config.hidden),
                          gemm(Role::output, rows, config.hidden, query)},
                .attention = AttentionWork{.phase = load.phase,
                                           .cache = model_.options.compute,
                                           .rows = rows,
                                           .context = context(load),
                                           .query_heads = heads.query.count,
                                           .kv_heads = heads.kv.count,
                                           .head_dim = config.head_dim},
                .pass_bytes = rows * bytes};
    }

    /// What a row of this layer sees of its sequence.
    std::size_t context(StepLoad const& load) const {
        std::size_t const window = window_of(model_.config, module_);
        return window == 0 ? load.context : std::min(load.context, window);
    }

    ModuleWork mlp(std::size_t rows) const {
        std::size_t const hidden = model_.config.hidden;
        return {.gemms = {gemm(Role::gate_up, rows, 2 * units_, hidden),
                          gemm(Role::down, rows, hidden, units_)},
                .attention = {},
                .pass_bytes = rows * units_ * (2 * inner_size() + compute_size())};
    }

    /// Every logit is written, and read again for the choice.
    ModuleWork lm_head(std::size_t rows) const {
        return {.gemms = {gemm(Role::table, rows, units_, model_.config.hidden)},
                .attention = {},
                .pass_bytes = rows * units_ * 2 * sizeof(float)};
    }

    PlannedWork const& model_;
    ModuleSpec const& module_;
    Placement placement_;
    int rank_;
    std::size_t units_;
};

template <class WorkOn>
RanksWork collect(int ranks, WorkOn const& work_on) {
    RanksWork works;
    int busy_ranks = 0;
    for (int rank = 0; rank < ranks; ++rank) {
        auto work = work_on(rank);
        if (work.empty()) continue;
        ++busy_ranks;
        if (std::ranges::find(works.different, work) == works.different.end()) {
            works.different.push_back(std::move(work));
        }
    }
    if (busy_ranks == 1 && ranks > 1) works.busy = Busy::one;
    return works;
}

}  // namespace

std::vector<CountedLoad> loads_of(Workload const& workload, TransformerOptions const& options,
                                  int owners, Step::Phase phase) {
    bool const prefill = phase == Step::Phase::prefill;
    // The last prompt step gives the first new token.
    std::size_t const times = prefill ? 1 : workload.new_tokens - 1;
    if (times == 0) return {};
    std::size_t const context =
        prefill ? (workload.prompt + 1) / 2 : workload.prompt + (workload.new_tokens + 1) / 2;
    auto const shapes = prefill ? prefill_shapes(workload, owners, options.max_rows)
                                : decode_shapes(workload, options);
    std::vector<CountedLoad> loads;
    for (auto const& shape : shapes) {
        auto const found = std::ranges::find(
            loads, shape, [](CountedLoad const& load) { return load.load.shape; });
        if (found != loads.end()) {
            found->count += times;
        } else {
            loads.push_back(
                {{phase, shape, std::max<std::size_t>(context, 1), workload.batch}, times});
        }
    }
    return loads;
}

std::size_t rows_on(std::size_t rows, Placement placement, StepLoad const& load, int rank,
                    int ranks) {
    switch (placement.kind) {
        case Placement::Kind::split_batch:
            return dealt_rows(rows, load, rank, ranks);
        case Placement::Kind::single:
            return placement.rank == rank ? rows : 0;
        case Placement::Kind::shard:
        case Placement::Kind::replicate:
            break;
    }
    return rows;
}

DType weight_dtype(PlannedWork const& model, ModuleSpec const& module, Role role) {
    if (is_quantised(model.options.weights, role)) return DType::f8e4m3;
    auto const found = std::ranges::find(module.weights, role, &WeightSpec::role);
    return found == module.weights.end() ? DType::bf16 : model.dtype_of(found->tensor);
}

std::size_t window_of(DecoderConfig const& config, ModuleSpec const& module) {
    if (module.kind != ModuleKind::attention || is_vision(module.name)) return 0;
    return config.windows.at(layer_of(module.name)->layer);
}

ModuleWork work_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                   int rank, StepLoad const& load) {
    if (is_vision(module.name)) return vision_work_of(model, module, placement, rank, load);
    return Work(model, module, placement, rank).of(load);
}

ModuleWork norm_work_of(PlannedWork const& model, std::size_t hidden, LayoutKind stream, int rank,
                        StepLoad const& load) {
    std::size_t rows = load.shape.rows;
    if (stream.kind == LayoutKind::Kind::batch_sharded) {
        rows = dealt_rows(rows, load, rank, model.ranks);
    } else if (stream.kind == LayoutKind::Kind::on_rank && stream.rank != rank) {
        rows = 0;
    }
    // The stream is read and written, the module's result read, the normed rows written.
    std::size_t const bytes = 3 * sizeof(float) + kernels::size_of(model.options.compute);
    return {.gemms = {}, .attention = {}, .pass_bytes = rows * hidden * bytes};
}

RanksWork works_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                   StepLoad const& load) {
    return collect(model.ranks,
                   [&](int rank) { return work_of(model, module, placement, rank, load); });
}

RanksWork norm_works_of(PlannedWork const& model, std::size_t hidden, LayoutKind stream,
                        StepLoad const& load) {
    return collect(model.ranks,
                   [&](int rank) { return norm_work_of(model, hidden, stream, rank, load); });
}

}  // namespace tesserank::model
