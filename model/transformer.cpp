#include "model/transformer.hpp"

#include "kernels/error.hpp"
#include "kernels/trace.hpp"
#include "model/attention.hpp"
#include "model/mlp.hpp"
#include "model/module_spec.hpp"
#include "model/row_layout.hpp"
#include "model/tensor_check.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::TensorView;
using parallel::Activation;
using parallel::AnyActivation;
using parallel::Layout;
using parallel::LayoutKind;
using parallel::OnRank;
using parallel::Partition;
using parallel::Range;

/// Raises `most` to what is wanted. Whether that raised anything: the same on all ranks, also on
/// one whose own memory stays where it is.
bool raise(std::vector<std::size_t>& most, std::vector<std::size_t> const& wanted) {
    most.resize(wanted.size());
    auto const before = most;
    std::ranges::transform(most, wanted, most.begin(), std::ranges::max);
    return most != before;
}

}  // namespace

Transformer::Transformer(DecoderConfig config, PlacementPlan plan, kernels::Backend& backend,
                         parallel::Communicator& ranks, WeightSource& source,
                         TransformerOptions options)
    : config_{std::move(config)},
      plan_{std::move(plan)},
      options_{options},
      backend_{backend},
      ranks_{ranks},
      rank_{ranks.rank()},
      weights_{backend, source, rank_, ranks.size(), options.weights},
      redistribute_{backend, ranks},
      cache_{backend, options.compute, cache_layers(config_, plan_, rank_)},
      decode_{backend},
      memory_{forward_memory(config_, plan_, options_, rank_)},
      workspace_{backend, memory_.modules},
      inputs_{backend, step_memory(config_, plan_, options_)} {
    kernels::require(plan_.ranks == ranks.size(), "the plan is for another number of ranks");
    if (options_.check_finite) finite_.emplace(backend, options_.max_rows);
    auto const modules = describe_text(config_);
    build_vocabulary(modules);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) build_layer(layer, modules);
    final_norm_ = norm_of(find_module(modules, "norm"));
    refuse_unknown_tensors(config_, source);
    weights_.prepare_load();
    residual_ = allocate(memory_.residual);
    normed_ = allocate(memory_.normed);
    delta_ = allocate(memory_.delta);
    sum_ = allocate(memory_.sum);
    local_logits_ = allocate(memory_.local_logits);
    logits_ = allocate(memory_.logits);
    pieces_ = allocate(memory_.pieces);
    if (config_.vision) {
        vision_.emplace(VisionSetup{config_, plan_, backend_, ranks_, source, options_});
    }
}

kernels::Tensor Transformer::allocate(ForwardMemory::Buffer const& buffer) {
    return make_tensor(backend_, buffer.dtype, buffer.rows, buffer.cols);
}

Norm Transformer::norm_of(ModuleSpec const& spec) {
    return {.weight = weights_.add(spec, Role::norm, Placement::replicate),
            .bias = {},
            .eps = config_.norm_eps};
}

void Transformer::build_vocabulary(std::span<ModuleSpec const> modules) {
    auto const& table_spec = find_module(modules, "embedding");
    auto const& head_spec = find_module(modules, "lm_head");
    auto const placement = plan_.of("lm_head");
    std::vector<Range> rows;
    rows.reserve(static_cast<std::size_t>(plan_.ranks));
    for (int rank = 0; rank < plan_.ranks; ++rank) {
        rows.push_back(embedding_rows(config_, plan_, rank));
    }
    auto const table = weights_.add_rows(table_spec, Role::table, rows);
    auto const part = [&](Placement of) {
        auto const wanted = units_of(config_.vocabulary, of, rank_, plan_.ranks);
        auto const first =
            wanted.count == 0 ? 0 : wanted.begin - rows[static_cast<std::size_t>(rank_)].begin;
        return table.rows_from(first, wanted.count);
    };
    auto const embedding = plan_.of("embedding");
    embedding_.emplace(part(embedding),
                       units_of(config_.vocabulary, embedding, rank_, plan_.ranks).begin);
    lm_head_.emplace(
        config_.tied_embeddings ? part(placement) : weights_.add(head_spec, Role::table, placement),
        Partition(config_.vocabulary, plan_.ranks), placement);
}

void Transformer::build_layer(std::size_t index, std::span<ModuleSpec const> modules) {
    auto const add = [&](ModuleSpec const& spec, std::unique_ptr<Module<TextContext>> module) {
        auto const& name = spec.name;
        blocks_.push_back({.name = name,
                           .norm = norm_of(find_module(modules, name + "_norm")),
                           .module = std::move(module),
                           .scale = {},
                           .input = input_of(plan_.of(name)),
                           .output = output_of(plan_.of(name), spec.kind),
                           .stream = plan_.stream_of(name)});
    };
    auto const& attention = find_module(modules, layer_module(index, "attention"));
    auto const& mlp = find_module(modules, layer_module(index, "mlp"));
    auto const placement = plan_.of(attention.name);
    add(attention, make_attention(config_, index, attention, placement,
                                  local_heads(config_, placement, rank_, plan_.ranks), weights_));
    add(mlp, make_mlp(config_, mlp, plan_.of(mlp.name), weights_));
}

void Transformer::load() {
    weights_.load();
    if (vision_) vision_->load();
    recorded_.clear();
    registered_.clear();
    for (auto const* const tensor : {&residual_, &normed_, &delta_, &sum_}) {
        auto const& view = tensor->view;
        registered_.push_back(ranks_.register_memory({view.data, view.bytes()}));
    }
}

void Transformer::encode(parallel::MpiCommunicator& ranks, std::span<Tile const> tiles,
                         std::size_t features) {
    kernels::require(vision_.has_value(), "pictures for a model without a vision encoder");
    if (!vision_->kept()) {
        recorded_.clear();
        most_cached_.clear();
        most_decoded_.clear();
        cache_.release();
        decode_.release();
    }
    vision_->encode(ranks, tiles, features);
}

kernels::ConstTensorView Transformer::features() const {
    return vision_ ? vision_->features() : kernels::ConstTensorView{};
}

std::size_t Transformer::weight_bytes() const {
    return weights_.bytes() + (vision_ ? vision_->weight_bytes() : 0);
}

std::size_t Transformer::forward_bytes() const {
    return memory_.bytes() + (vision_ ? vision_->forward_bytes() : 0);
}

void Transformer::reserve_cache(std::size_t all, std::span<std::size_t const> dealt) {
    std::vector<std::size_t> tokens{all};
    tokens.insert(tokens.end(), dealt.begin(), dealt.end());
    if (raise(most_cached_, tokens)) recorded_.clear();
    cache_.reserve(all, dealt[static_cast<std::size_t>(plan_.owner_of(rank_))]);
}

std::size_t Transformer::decode_bytes(std::size_t sequences) const {
    return decode_size(config_, plan_, options_, sequences, rank_).bytes();
}

void Transformer::reserve_decode(std::size_t sequences) {
    if (raise(most_decoded_, {decode_bucket(sequences)})) recorded_.clear();
    decode_.reserve(decode_size(config_, plan_, options_, sequences, rank_));
}

/// One forward pass: the step, and how its rows are dealt out.
class Transformer::Pass {
  public:
    Pass(Transformer& model, DeviceStep const& step)
        : model_{model},
          step_{step},
          stream_{model.backend_, model.redistribute_, model.rank_, rows(model.residual_)},
          context_{context()} {
        embed();
        place_features();
        BlockMemory const memory{model.normed_.view, model.delta_.view, model.sum_.view};
        for (auto const& block : model.blocks_) {
            run_block(block, context_, stream_, memory, step_.deal,
                      [this](auto const& module, auto const& y) { look(module, y); });
        }
    }

    AnyActivation finish() {
        return to_head(stream_.normed(model_.final_norm_, rows(model_.normed_)), step_.deal);
    }

    /// Only the rows whose logits are wanted go on.
    AnyActivation finish(std::span<std::size_t const> outputs) {
        if (outputs.size() == step_.ids.size) return finish();
        auto const rows_here = stream_.local();
        auto const deal = deal_of(outputs, step_.deal);
        auto const layout = layout_for(stream_.layout(), deal);
        auto const states = parallel::part_of(model_.normed_.view.rows_from(0, outputs.size()),
                                              layout, model_.rank_);
        auto const& local = parallel::local_of(states);
        auto const chosen = model_.delta_.view.rows_from(0, local.rows);
        model_.backend_.gather_rows(rows_here, outputs_here(outputs), chosen);
        model_.final_norm_(model_.backend_, chosen, local);
        return to_head(states, deal);
    }

  private:
    void embed() {
        kernels::TraceRange const range("embedding");
        auto const first = model_.blocks_.front().stream;
        auto const given = output_of(model_.plan_.of("embedding"), ModuleKind::embedding);
        auto const place =
            rows(parallel::scatters(given, first) ? model_.delta_ : model_.residual_);
        auto const embedded =
            model_.embedding_->forward(model_.backend_, step_.ids, at(given), model_.rank_, place);
        look("embedding", embedded);
        stream_.start(embedded, at(first));
    }

    /// Features stand where their placeholders were embedded, on the ranks that have those rows.
    void place_features() {
        auto const here = rows_in(stream_.layout(), step_.ids.size, model_.rank_);
        for (auto const& [row, count, feature] : step_.features) {
            auto const part = within({row, count}, here);
            if (part.count == 0) continue;
            model_.backend_.copy(
                model_.features().rows_from(feature + part.begin - row, part.count),
                stream_.local().rows_from(part.begin - here.begin, part.count));
        }
        if (model_.vision_) {
            look("vision.projector",
                 parallel::part_of(rows(model_.residual_), stream_.layout(), model_.rank_));
        }
    }

    void look(std::string const& module, AnyActivation const& output) {
        if (model_.finite_) model_.finite_->look(module, output, model_.rank_);
    }

    AnyActivation to_head(AnyActivation const& states, Partition const& deal) {
        auto const head = input_of(model_.plan_.of("lm_head"));
        return model_.redistribute_(states, layout_for(head, deal),
                                    {.whole = model_.normed_.view.rows_from(0, deal.units())});
    }

    TensorView rows(kernels::Tensor const& tensor) const {
        return tensor.view.rows_from(0, step_.ids.size);
    }
    Layout at(LayoutKind kind) const { return layout_for(kind, step_.deal); }

    TextContext context() const {
        auto const own = step_.deal.of(model_.plan_.owner_of(model_.rank_));
        return {.backend = model_.backend_,
                .workspace = model_.workspace_,
                .cache = model_.cache_,
                .redistribute = model_.redistribute_,
                .phase = step_.phase,
                .compute = model_.options_.compute,
                .inner = model_.options_.inner,
                .all = {step_.all, step_.cos_sin},
                .own = {step_.own, step_.cos_sin.rows_from(own.begin, own.count)}};
    }

    /// The rows that are wanted of those that this rank has of the stream, counted from its first.
    std::vector<std::size_t> outputs_here(std::span<std::size_t const> outputs) {
        auto const held = rows_in(stream_.layout(), step_.ids.size, model_.rank_);
        std::vector<std::size_t> here;
        for (auto const row : outputs) {
            if (row >= held.begin && row < held.end()) here.push_back(row - held.begin);
        }
        return here;
    }

    Transformer& model_;
    DeviceStep const& step_;
    ResidualStream stream_;
    TextContext context_;
};

AnyActivation Transformer::forward(Step const& step, std::span<std::size_t const> outputs) {
    if (finite_) finite_->begin_step(step);
    return Pass(*this, inputs_.upload(step, plan_.owner_of(rank_))).finish(outputs);
}

AnyActivation Transformer::forward(DeviceStep const& step) { return Pass(*this, step).finish(); }

AnyActivation Transformer::local_logits(AnyActivation const& states, std::size_t first,
                                        std::size_t count) {
    kernels::TraceRange const range("lm_head");
    auto const x = rows_of(states, {first, count}, rank_);
    bool const shard = plan_.of("lm_head") == Placement::shard;
    // Where the logits are whole they lie where they belong among those of the other ranks.
    auto const& memory = shard ? local_logits_ : logits_;
    auto const& input = parallel::local_of(x);
    if (input.rows == 0) return lm_head_->forward(backend_, x, memory.view.rows_from(0, 0));
    auto const place = memory.view.rows_from(0, count);
    auto const y =
        shard ? place : parallel::local_of(parallel::part_of(place, layout_of(x), rank_));
    return lm_head_->forward(backend_, x, y);
}

Activation<OnRank> Transformer::whole_logits(AnyActivation const& local) {
    return std::get<Activation<OnRank>>(redistribute_(
        local, OnRank{choosing_rank}, {.whole = logits_.view, .pieces = pieces_.view}));
}

}  // namespace tesserank::model
