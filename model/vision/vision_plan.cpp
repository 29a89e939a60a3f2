#include "model/vision/vision_plan.hpp"

#include "model/exchange_list.hpp"
#include "model/vision/patch_embedding.hpp"
#include "model/vision/perceptron.hpp"
#include "model/vision/projector.hpp"
#include "model/vision/vision_attention.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::LayoutKind;
using Place = Exchange::Place;

/// The modules of a layer that the residual stream passes by.
constexpr std::array<std::pair<std::string_view, ModuleKind>, 2> blocks{
    {{"attention", ModuleKind::attention}, {"mlp", ModuleKind::mlp}}};

bool scatters_sums(VisionConfig const& config, PlacementPlan const& plan) {
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        for (auto const& [part, kind] : blocks) {
            auto const name = vision_layer_module(layer, part);
            if (scatters(output_of(plan.of(name), kind), plan.stream_of(name))) return true;
        }
    }
    return false;
}

/// What one rank needs of the workspace, module by module.
class Demand {
  public:
    Demand(DecoderConfig const& config, PlacementPlan const& plan,
           TransformerOptions const& options, int rank)
        : config_{*config.vision},
          plan_{plan},
          options_{options},
          rank_{rank},
          tiles_{tiles_at_once(config_, plan, options.vision)} {}

    std::size_t tiles() const { return tiles_; }

    std::size_t most() const {
        std::size_t most = std::max(embedding(), projector());
        for (std::size_t layer = 0; layer < config_.layers; ++layer) {
            std::size_t const rows = tiles_ * config_.rows_per_tile();
            auto const heads = units(vision_layer_module(layer, "attention"), config_.heads);
            auto const columns = units(vision_layer_module(layer, "mlp"), config_.intermediate);
            most = std::max({most, vision_attention_workspace(config_, rows, heads, options_),
                             perceptron_workspace(rows, columns, options_)});
        }
        return most;
    }

  private:
    std::size_t units(std::string_view module, std::size_t of) const {
        return units_of(of, plan_.of(module), rank_, plan_.ranks).count;
    }

    /// Patches are cut from one tile after the other, then embedded.
    std::size_t embedding() const {
        std::size_t const patches = tiles_ * config_.patches();
        std::size_t const pixels = config_.side * config_.side;
        std::size_t const tile =
            Workspace::bytes_of(DType::f32, rank_ == choosing_rank ? config_.channels : 0, pixels);
        std::size_t const product =
            patch_embedding_workspace(patches, units("vision.embedding", config_.hidden));
        return Workspace::bytes_of(options_.compute, patches, config_.patch_width()) +
               std::max(tile, product);
    }

    std::size_t projector() const {
        return projector_workspace(config_, tiles_ * config_.features_per_tile(),
                                   units("vision.projector", config_.features), options_);
    }

    VisionConfig const& config_;
    PlacementPlan const& plan_;
    TransformerOptions const& options_;
    int rank_;
    std::size_t tiles_;
};

}  // namespace

std::size_t VisionMemory::bytes() const {
    std::size_t sum_of_all = positions + segments + modules;
    for (auto const& buffer : {residual, normed, delta, sum}) sum_of_all += buffer.bytes();
    return sum_of_all;
}

VisionMemory vision_memory(DecoderConfig const& config, PlacementPlan const& plan,
                           TransformerOptions const& options, int rank) {
    auto const& vision = *config.vision;
    Demand const demand(config, plan, options, rank);
    VisionMemory::Buffer const activation{DType::f32, demand.tiles() * vision.rows_per_tile(),
                                          vision.hidden};
    VisionMemory memory;
    memory.residual = memory.normed = memory.delta = activation;
    memory.normed.dtype = options.compute;
    if (scatters_sums(vision, plan)) memory.sum = activation;
    memory.positions = fitted_position_bytes(
        vision, units_of(vision.hidden, plan.of("vision.embedding"), rank, plan.ranks).count);
    memory.segments = demand.tiles() * sizeof(kernels::Segment);
    memory.modules = demand.most();
    return memory;
}

std::size_t feature_bytes(DecoderConfig const& config, std::size_t tiles) {
    return tiles * config.vision->features_per_tile() * config.hidden * sizeof(float);
}

std::size_t picture_bytes(VisionConfig const& config, std::size_t tiles) {
    return tiles == 0 ? 0 : (tiles + sizeof(float)) * config.tile_bytes();
}

std::size_t tiles_at_once(VisionConfig const& config, PlacementPlan const& plan,
                          VisionOptions const& options) {
    if (options.max_tiles > 0) return options.max_tiles;
    constexpr std::size_t usual_rows = 4096;
    std::size_t const tiles = (usual_rows - 1) / config.rows_per_tile() + 1;
    std::size_t const dealt = plan.deals_tiles() ? static_cast<std::size_t>(plan.ranks) : 1;
    return (tiles + dealt - 1) / dealt * dealt;
}

std::vector<std::size_t> tile_chunks(std::size_t tiles, std::size_t at_once) {
    std::vector<std::size_t> chunks;
    for (; tiles > 0; tiles -= chunks.back()) chunks.push_back(std::min(tiles, at_once));
    return chunks;
}

std::vector<Exchange> exchanges_of_tiles(DecoderConfig const& config, PlacementPlan const& plan,
                                         TransformerOptions const& options, std::size_t tiles) {
    if (plan.ranks == 1) return {};
    auto const& vision = *config.vision;
    std::size_t const rows = tiles * vision.rows_per_tile();
    std::size_t const patches = tiles * vision.patches();
    std::size_t const features = tiles * vision.features_per_tile();
    std::size_t const compute = kernels::size_of(options.compute);
    ExchangeList list;
    auto const embedding = plan.of("vision.embedding"), projector = plan.of("vision.projector");
    auto stream = plan.stream_of(vision_layer_module(0, "attention"));
    ExchangeList::BlockBytes const bytes{.stream = rows * vision.hidden * sizeof(float),
                                         .input = rows * vision.hidden * compute};
    list.add({"vision.embedding", Place::before}, LayoutKind::on_rank(choosing_rank),
             input_of(embedding), patches * vision.patch_width() * compute);
    list.add({"vision.embedding", Place::behind}, output_of(embedding, ModuleKind::patch_embedding),
             stream, bytes.stream);
    for (std::size_t layer = 0; layer < vision.layers; ++layer) {
        for (auto const& [part, kind] : blocks) {
            auto const name = vision_layer_module(layer, part);
            list.add_block(plan, name, kind, bytes,
                           exchanges_within(vision.qk_norm, name, kind, plan.of(name), rows),
                           stream);
        }
    }
    list.add({"vision.projector", Place::before}, stream, input_of(projector),
             features * vision.shuffled() * sizeof(float));
    list.add({"vision.projector", Place::behind}, output_of(projector, ModuleKind::projector),
             {LayoutKind::Kind::replicated}, features * config.hidden * sizeof(float));
    return list.take();
}

std::string vision_layer_module(std::size_t layer, std::string_view part) {
    return "vision." + layer_module(layer, part);
}

}  // namespace tesserank::model
