#include "model/transformer.hpp"

#include "kernels/error.hpp"
#include "model/attention.hpp"
#include "model/mlp.hpp"
#include "model/module_spec.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::ConstTensorView;
using kernels::DType;
using kernels::TensorView;
using parallel::Activation;
using parallel::Replicated;

ModuleSpec const& find_module(std::span<ModuleSpec const> modules, std::string const& name) {
    auto const found = std::ranges::find(modules, name, &ModuleSpec::name);
    kernels::require(found != modules.end(), "no module of the name " + name);
    return *found;
}

std::string layer_name(std::size_t layer, std::string_view part) {
    return "layers." + std::to_string(layer) + "." + std::string(part);
}

std::vector<std::size_t> cache_widths(DecoderConfig const& config, PlacementPlan const& plan,
                                      int rank) {
    std::vector<std::size_t> widths;
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        auto const placement = plan.of(layer_name(layer, "attention"));
        widths.push_back(local_heads(config, placement, rank, plan.ranks).kv.count *
                         config.head_dim);
    }
    return widths;
}

}  // namespace

Transformer::Transformer(DecoderConfig config, PlacementPlan const& plan, kernels::Backend& backend,
                         parallel::Communicator& ranks, WeightSource& source,
                         TransformerOptions options)
    : config_{std::move(config)},
      options_{options},
      backend_{backend},
      rank_{ranks.rank()},
      size_{ranks.size()},
      weights_{backend, source, rank_, size_},
      redistribute_{backend, ranks},
      cache_{backend, options.compute, cache_widths(config_, plan, rank_)} {
    auto const modules = describe_modules(config_);
    build_vocabulary(modules, plan);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) build_layer(layer, modules, plan);
    final_norm_ = weights_.add(find_module(modules, "norm"), Role::norm, Placement::replicate);
    weights_.check_all_used(config_.tied_embeddings ? std::vector{config_.names.lm_head}
                                                    : std::vector<std::string>{});

    residual_ = make_tensor(backend, DType::f32, options_.max_rows, config_.hidden);
    normed_ = make_tensor(backend, options_.compute, options_.max_rows, config_.hidden);
    delta_ = make_tensor(backend, DType::f32, options_.max_rows, config_.hidden);
    cos_sin_ = make_tensor(backend, DType::f32, options_.max_rows, config_.head_dim);
    local_logits_ = make_tensor(backend, DType::f32, options_.max_logit_rows, lm_head_->width());
    workspace_ = std::make_unique<Workspace>(backend, workspace_bytes());
}

void Transformer::build_vocabulary(std::span<ModuleSpec const> modules, PlacementPlan const& plan) {
    auto const& table_spec = find_module(modules, "embedding");
    auto const& head_spec = find_module(modules, "lm_head");
    auto const table_placement = plan.of(table_spec.name), head_placement = plan.of(head_spec.name);
    parallel::Partition const cut(config_.vocabulary, size_);
    auto const rows_of = [&](Placement placement) {
        return placement == Placement::shard ? cut.of(rank_)
                                             : parallel::Range{0, config_.vocabulary};
    };
    TensorView table, head;
    if (config_.tied_embeddings && table_placement != head_placement) {
        // One tensor, one memory: whole, because one of the two modules needs it whole.
        auto const whole = weights_.add(table_spec, Role::table, Placement::replicate);
        auto const part = [&](Placement placement) {
            auto const rows = rows_of(placement);
            return whole.rows_from(rows.begin, rows.count);
        };
        table = part(table_placement);
        head = part(head_placement);
    } else {
        table = weights_.add(table_spec, Role::table, table_placement);
        head =
            config_.tied_embeddings ? table : weights_.add(head_spec, Role::table, head_placement);
    }
    embedding_ = std::make_unique<Embedding>(table, rows_of(table_placement), table_placement);
    lm_head_ = std::make_unique<LmHead>(head, cut, head_placement);
}

void Transformer::build_layer(std::size_t index, std::span<ModuleSpec const> modules,
                              PlacementPlan const& plan) {
    auto const norm = [&](std::string_view part) {
        return weights_.add(find_module(modules, layer_name(index, part)), Role::norm,
                            Placement::replicate);
    };
    auto const& attention = find_module(modules, layer_name(index, "attention"));
    auto const& mlp = find_module(modules, layer_name(index, "mlp"));
    auto const placement = plan.of(attention.name);
    Layer layer;
    layer.attention_norm = norm("attention_norm");
    layer.attention = make_attention(config_, index, attention, placement,
                                     local_heads(config_, placement, rank_, size_), weights_);
    layer.mlp_norm = norm("mlp_norm");
    layer.mlp = make_mlp(config_, mlp, plan.of(mlp.name), weights_);
    layers_.push_back(std::move(layer));
}

std::size_t Transformer::workspace_bytes() const {
    std::size_t most = 0;
    for (auto const& layer : layers_) {
        most =
            std::max({most, layer.attention->workspace_bytes(options_.max_rows, options_.compute),
                      layer.mlp->workspace_bytes(options_.max_rows, options_.compute)});
    }
    return most;
}

void Transformer::load() { weights_.load(); }

TensorView Transformer::upload_rotary(Step const& step) {
    auto const rows = cos_sin_.view.rows_from(0, step.ids.size());
    backend_.copy_from_host(std::as_bytes(std::span(step.cos_sin)), rows.data);
    return rows;
}

Activation<Replicated> Transformer::forward(Step const& step,
                                            std::span<std::size_t const> outputs) {
    std::size_t const rows = step.ids.size();
    auto const residual = residual_.view.rows_from(0, rows), delta = delta_.view.rows_from(0, rows);
    auto const normed = normed_.view.rows_from(0, rows);
    Context context{backend_, *workspace_, cache_, step, upload_rotary(step), options_.compute};

    // The residual stream is replicated; every module adds to it what the ranks' parts sum up to.
    redistribute_.to_replicated(embedding_->forward(backend_, step.ids, residual));
    backend_.rms_norm(residual, layers_.front().attention_norm, config_.norm_eps, normed);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        auto const& layer = layers_[i];
        auto const attended =
            redistribute_.to_replicated(layer.attention->forward(context, {normed, {}}, delta));
        backend_.add_rms_norm(residual, attended.local, layer.mlp_norm, config_.norm_eps, normed);
        auto const mixed =
            redistribute_.to_replicated(layer.mlp->forward(context, {normed, {}}, delta));
        if (i + 1 < layers_.size()) {
            backend_.add_rms_norm(residual, mixed.local, layers_[i + 1].attention_norm,
                                  config_.norm_eps, normed);
        } else {
            backend_.add(residual, mixed.local);
        }
    }
    // Only the rows whose logits are wanted go on; `delta` is free now.
    auto const chosen = delta_.view.rows_from(0, outputs.size());
    auto const states = normed_.view.rows_from(0, outputs.size());
    backend_.gather_rows(residual, outputs, chosen);
    backend_.rms_norm(chosen, final_norm_, config_.norm_eps, states);
    return {states, {}};
}

Activation<Replicated> Transformer::logits(Activation<Replicated> states) {
    auto const local = local_logits_.view.rows_from(0, states.local.rows);
    return redistribute_.to_replicated(lm_head_->forward(backend_, states, local));
}

}  // namespace tesserank::model
