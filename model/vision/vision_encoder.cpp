#include "model/vision/vision_encoder.hpp"

#include "kernels/error.hpp"
#include "kernels/trace.hpp"
#include "model/module_spec.hpp"
#include "model/vision/projector.hpp"
#include "model/vision/vision_attention.hpp"
#include "model/vision/vision_mlp.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using kernels::Segment;
using kernels::TensorView;
using parallel::Activation;
using parallel::AnyActivation;
using parallel::OnRank;
using parallel::Partition;

/// Contiguous rows seen as others of another width.
TensorView reshaped(TensorView const& view, std::size_t rows, std::size_t cols) {
    kernels::require(view.contiguous() && rows * cols <= view.size(),
                     "a tensor is seen as a larger one");
    return {{view.data, view.dtype, rows, cols, cols}};
}

}  // namespace

VisionEncoder::VisionEncoder(VisionSetup const& setup)
    : setup_{setup},
      config_{*setup.config.vision},
      rank_{setup.ranks.rank()},
      weights_{setup.backend, setup.source, rank_, setup.ranks.size(), setup.options.weights},
      redistribute_{setup.backend, setup.ranks},
      at_once_{tiles_at_once(config_, setup.plan, setup.options.vision)},
      memory_{vision_memory(setup.config, setup.plan, setup.options, rank_)},
      workspace_{setup.backend, memory_.modules} {
    auto const& plan = setup_.plan;
    kernels::require(plan.ranks == setup_.ranks.size(), "the plan is for another number of ranks");
    auto const modules = describe_vision(setup_.config);
    embedding_.emplace(config_, find_module(modules, "vision.embedding"), plan, rank_,
                       setup_.backend, weights_);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) build_layer(layer, modules);
    auto const& projector = find_module(modules, "vision.projector");
    projector_ = make_projector(config_, projector, plan.of(projector.name), weights_);
    weights_.prepare_load();
    auto const allocate = [&](VisionMemory::Buffer const& buffer) {
        return make_tensor(setup_.backend, buffer.dtype, buffer.rows, buffer.cols);
    };
    residual_ = allocate(memory_.residual);
    normed_ = allocate(memory_.normed);
    delta_ = allocate(memory_.delta);
    sum_ = allocate(memory_.sum);
    segments_ = setup_.backend.allocate(memory_.segments);
}

void VisionEncoder::build_layer(std::size_t index, std::span<ModuleSpec const> modules) {
    auto const& plan = setup_.plan;
    auto const add = [&](ModuleSpec const& spec, std::unique_ptr<Module<VisionContext>> module) {
        auto const& norm = find_module(modules, spec.name + "_norm");
        auto const part = [&](Role role) { return weights_.add(norm, role, Placement::replicate); };
        bool const rms = config_.norm == VisionConfig::Norm::rms;
        blocks_.push_back({.name = spec.name,
                           .norm = {.kind = rms ? Norm::Kind::rms : Norm::Kind::layer,
                                    .weight = part(Role::norm),
                                    .bias = part(Role::norm_bias),
                                    .eps = config_.norm_eps},
                           .module = std::move(module),
                           .scale = part(Role::scale),
                           .input = input_of(plan.of(spec.name)),
                           .output = output_of(plan.of(spec.name), spec.kind),
                           .stream = plan.stream_of(spec.name)});
    };
    auto const& attention = find_module(modules, vision_layer_module(index, "attention"));
    auto const& mlp = find_module(modules, vision_layer_module(index, "mlp"));
    auto const placement = plan.of(attention.name);
    auto const heads = units_of(config_.heads, placement, rank_, plan.ranks).count;
    add(attention, make_vision_attention(config_, attention, placement, heads, weights_));
    add(mlp, make_vision_mlp(config_, mlp, plan.of(mlp.name), weights_));
}

void VisionEncoder::load() {
    weights_.load();
    embedding_->fit_positions(setup_.backend);
    // Of a tile nothing depends on where it stands among the others: a rank's own tiles are seen
    // as the first ones.
    std::vector<Segment> segments(at_once_);
    std::size_t const rows = config_.rows_per_tile();
    for (std::size_t tile = 0; tile < at_once_; ++tile) {
        segments[tile] = {.row = tile * rows, .tokens = rows, .cache_row = tile * rows};
    }
    setup_.backend.copy_from_host(std::as_bytes(std::span(segments)), segments_.get());
    registered_.clear();
    for (auto const* const tensor : {&residual_, &normed_, &delta_, &sum_}) {
        auto const& view = tensor->view;
        registered_.push_back(setup_.ranks.register_memory({view.data, view.bytes()}));
    }
}

/// One pass: so many tiles, and how they are dealt out.
class VisionEncoder::Pass {
  public:
    Pass(VisionEncoder& encoder, std::size_t tiles)
        : encoder_{encoder},
          config_{encoder.config_},
          backend_{encoder.setup_.backend},
          tiles_{tiles, encoder.setup_.ranks.size()},
          stream_{backend_, encoder.redistribute_, encoder.rank_,
                  encoder.residual_.view.rows_from(0, tiles * config_.rows_per_tile())},
          context_{context()} {}

    /// tiles: rank 0's.
    void run(std::span<Tile const> tiles, TensorView features) {
        embed(tiles);
        auto const deal = dealt(config_.rows_per_tile());
        BlockMemory const memory{encoder_.normed_.view, encoder_.delta_.view, encoder_.sum_.view};
        for (auto const& block : encoder_.blocks_) {
            run_block(block, context_, stream_, memory, deal,
                      [](auto const& /*module*/, auto const& /*y*/) {});
        }
        project(shuffled(), features);
    }

  private:
    /// So many rows for each tile.
    Partition dealt(std::size_t rows_per_tile) const {
        return Partition::of_shares(tiles_.counts(rows_per_tile));
    }

    void embed(std::span<Tile const> tiles) {
        kernels::TraceRange const range("vision.embedding");
        Workspace::Frame const frame(context_.workspace);
        std::size_t const count = tiles_.units() * config_.patches();
        auto const whole = context_.workspace.take(context_.compute, count, config_.patch_width());
        bool const here = encoder_.rank_ == choosing_rank;
        if (here) cut(tiles, whole);
        Activation<OnRank> const cut_here{whole.rows_from(0, here ? count : 0),
                                          {choosing_rank, count}};
        auto const input = input_of(encoder_.setup_.plan.of("vision.embedding"));
        auto const patches = context_.redistribute(
            cut_here, layout_for(input, dealt(config_.patches())), {.whole = whole});
        auto const deal = dealt(config_.rows_per_tile());
        auto const rows = [&](kernels::Tensor const& tensor) {
            return tensor.view.rows_from(0, deal.units());
        };
        auto const embedded =
            encoder_.embedding_->forward(context_, parallel::local_of(patches),
                                         layout_for(input, deal), rows(encoder_.residual_));
        stream_.start(embedded, layout_for(encoder_.blocks_.front().stream, deal),
                      rows(encoder_.delta_));
    }

    /// Brings tile by tile into the backend's memory.
    void cut(std::span<Tile const> tiles, TensorView patches) {
        Workspace::Frame const frame(context_.workspace);
        std::size_t const side = config_.side, count = config_.patches();
        auto const pixels = context_.workspace.take(DType::f32, config_.channels, side * side);
        auto& planes = encoder_.planes_;
        planes.resize(pixels.size());
        for (std::size_t tile = 0; tile < tiles.size(); ++tile) {
            scale_pixels(tiles[tile], encoder_.setup_.options.vision, planes);
            backend_.copy_from_host(std::as_bytes(std::span(planes)), pixels.data);
            backend_.cut_patches(pixels,
                                 {.channels = config_.channels,
                                  .height = side,
                                  .width = side,
                                  .patch = config_.patch},
                                 patches.rows_from(tile * count, count));
        }
    }

    /// The stream without class tokens, several patches side by side, where the stream lies: [F,
    /// s*s*Hv].
    AnyActivation shuffled() {
        auto const local = stream_.local();
        std::size_t const tiles = local.rows / config_.rows_per_tile(), hidden = config_.hidden;
        std::size_t const patches = config_.patches();
        auto const with_class = reshaped(local, tiles, config_.rows_per_tile() * hidden);
        auto const without = reshaped(encoder_.delta_.view, tiles, patches * hidden);
        backend_.copy(with_class.cols_from(hidden, patches * hidden), without);
        // The stream has passed, so that its memory is free.
        auto const deal = dealt(config_.features_per_tile());
        auto const whole = reshaped(encoder_.residual_.view, deal.units(), config_.shuffled());
        auto result = parallel::part_of(whole, layout_for(stream_.layout(), deal), encoder_.rank_);
        backend_.pixel_shuffle(reshaped(without, tiles * patches, hidden),
                               {.height = config_.patches_across(),
                                .width = config_.patches_across(),
                                .factor = config_.shuffle,
                                .by_columns = config_.by_columns},
                               parallel::local_of(result));
        return result;
    }

    void project(AnyActivation const& patches, TensorView features) {
        kernels::TraceRange const range("vision.projector");
        auto const deal = dealt(config_.features_per_tile());
        auto const input = layout_for(input_of(encoder_.setup_.plan.of("vision.projector")), deal);
        auto const x = context_.redistribute(
            patches, input,
            {.whole = reshaped(encoder_.residual_.view, deal.units(), config_.shuffled())});
        auto const y = parallel::local_of(parallel::part_of(features, input, encoder_.rank_));
        context_.redistribute(encoder_.projector_->forward(context_, x, y), parallel::Replicated{},
                              {.whole = features});
    }

    VisionContext context() const {
        kernels::DeviceSpan<Segment const> const segments{
            reinterpret_cast<Segment const*>(encoder_.segments_.get()), tiles_.units()};
        auto const of_tiles = [&](std::size_t count) {
            return kernels::Segments{.list = segments.from(0, count),
                                     .longest = config_.rows_per_tile(),
                                     .context = config_.rows_per_tile()};
        };
        return {.backend = backend_,
                .workspace = encoder_.workspace_,
                .redistribute = encoder_.redistribute_,
                .compute = encoder_.setup_.options.compute,
                .inner = encoder_.setup_.options.inner,
                .all = of_tiles(tiles_.units()),
                .own = of_tiles(tiles_.count(encoder_.rank_))};
    }

    VisionEncoder& encoder_;
    VisionConfig const& config_;
    kernels::Backend& backend_;
    Partition tiles_;
    ResidualStream stream_;
    VisionContext context_;
};

void VisionEncoder::encode(std::span<Tile const> tiles, std::size_t count, TensorView features) {
    std::size_t const per_tile = config_.features_per_tile();
    std::size_t first = 0;
    for (auto const chunk : tile_chunks(count, at_once_)) {
        auto const here = tiles.empty() ? tiles : tiles.subspan(first, chunk);
        Pass(*this, chunk).run(here, features.rows_from(first * per_tile, chunk * per_tile));
        first += chunk;
    }
}

}  // namespace tesserank::model
