#include "model/vision_work.hpp"

#include "model/vision/vision_plan.hpp"

namespace tesserank::model {
namespace {

/// One module on one rank.
class Work {
  public:
    Work(PlannedWork const& model, ModuleSpec const& module, Placement placement, int rank,
         StepLoad const& load)
        : model_{model},
          config_{*model.config.vision},
          module_{module},
          rank_{rank},
          load_{load},
          tiles_{rows_on(load.batch, placement, load, rank, model.ranks)},
          units_{units_of(module.units, placement, rank, model.ranks).count} {}

    ModuleWork work() const {
        if (module_.kind == ModuleKind::patch_embedding) return embedding();
        if (tiles_ == 0 || units_ == 0) return {};
        switch (module_.kind) {
            case ModuleKind::attention:
                return attention();
            case ModuleKind::mlp:
                return perceptron(rows(), config_.hidden, config_.hidden);
            case ModuleKind::projector:
                return projector();
            default:
                return {};
        }
    }

  private:
    std::size_t rows() const { return tiles_ * config_.rows_per_tile(); }
    std::size_t compute_size() const { return kernels::size_of(model_.options.compute); }
    std::size_t inner_size() const { return kernels::size_of(model_.options.inner); }
    GemmWork gemm(Role role, std::size_t rows, std::size_t outputs, std::size_t inputs) const {
        return {weight_dtype(model_, module_, role), model_.options.compute, rows, outputs, inputs};
    }

    /// Rank 0 cuts the patches of all tiles, whoever embeds them; a product is written, then read
    /// and written with its positions.
    ModuleWork embedding() const {
        std::size_t const width = config_.patch_width();
        std::size_t const patches = tiles_ * config_.patches();
        std::size_t const cut = rank_ == choosing_rank ? load_.batch * config_.patches() : 0;
        ModuleWork work{.gemms = {},
                        .attention = {},
                        .pass_bytes = patches * units_ * 3 * sizeof(float) +
                                      cut * width * (sizeof(float) + compute_size())};
        if (patches * units_ > 0) work.gemms = {gemm(Role::patch, patches, units_, width)};
        return work;
    }

    /// Every row sees all of its tile.
    ModuleWork attention() const {
        std::size_t const columns = units_ * config_.head_dim;
        std::size_t const norms = config_.qk_norm == QkNorm::none ? 0 : 2;
        return {.gemms = {gemm(Role::qkv, rows(), 3 * columns, config_.hidden),
                          gemm(Role::output, rows(), config_.hidden, columns)},
                .attention = AttentionWork{.phase = Step::Phase::prefill,
                                           .cache = model_.options.inner,
                                           .rows = rows(),
                                           .context = config_.rows_per_tile(),
                                           .query_heads = units_,
                                           .kv_heads = units_,
                                           .head_dim = config_.head_dim},
                .pass_bytes = norms * 2 * inner_size() * rows() * columns};
    }

    /// Two linear layers with an activation between them.
    ModuleWork perceptron(std::size_t count, std::size_t inputs, std::size_t outputs) const {
        return {.gemms = {gemm(Role::up, count, units_, inputs),
                          gemm(Role::down, count, outputs, units_)},
                .attention = {},
                .pass_bytes = count * units_ * (inner_size() + compute_size())};
    }

    ModuleWork projector() const {
        std::size_t const features = tiles_ * config_.features_per_tile();
        auto work = perceptron(features, config_.shuffled(), config_.features);
        // Patches are moved to stand side by side, then normed.
        work.pass_bytes += features * config_.shuffled() * (3 * sizeof(float) + compute_size());
        return work;
    }

    PlannedWork const& model_;
    VisionConfig const& config_;
    ModuleSpec const& module_;
    int rank_;
    StepLoad const& load_;
    std::size_t tiles_;  ///< of this rank
    std::size_t units_;
};

}  // namespace

std::vector<CountedLoad> vision_loads_of(DecoderConfig const& config, PlacementPlan const& plan,
                                         TransformerOptions const& options,
                                         Workload const& workload) {
    std::vector<CountedLoad> loads;
    if (!config.vision) return loads;
    auto const& vision = *config.vision;
    auto const chunks =
        tile_chunks(workload.all_tiles(), tiles_at_once(vision, plan, options.vision));
    for (auto const tiles : chunks) {
        if (!loads.empty() && loads.back().load.batch == tiles) {
            ++loads.back().count;
            continue;
        }
        StepShape const shape{.rows = tiles * vision.rows_per_tile(),
                              .outputs = tiles * vision.features_per_tile()};
        loads.push_back({{Step::Phase::prefill, shape, vision.rows_per_tile(), tiles}, 1});
    }
    return loads;
}

ModuleWork vision_work_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                          int rank, StepLoad const& load) {
    return Work(model, module, placement, rank, load).work();
}

}  // namespace tesserank::model
