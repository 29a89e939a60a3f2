#include "model/attention.hpp"

#include "model/linear.hpp"
#include "model/whole_norm.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>

namespace tesserank::model {
namespace {

using kernels::DType;
using kernels::TensorView;
using parallel::Activation;

kernels::AttentionShape attention_shape(DecoderConfig const& config, std::size_t layer,
                                        LocalHeads const& heads) {
    return {.query_heads = heads.query.count,
            .kv_heads = heads.kv.count,
            .head_dim = config.head_dim,
            .queries_per_kv = config.queries_per_kv(),
            .first_query = heads.query.begin - heads.kv.begin * config.queries_per_kv(),
            .scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim)),
            .window = config.windows[layer]};
}

template <class Spread>
class Attention final : public PlacedModule<Spread, TextContext> {
  public:
    using typename PlacedModule<Spread, TextContext>::Input;
    using typename PlacedModule<Spread, TextContext>::Output;

    Attention(DecoderConfig const& config, std::size_t layer, ModuleSpec const& spec,
              Placement placement, LocalHeads heads, WeightStore& weights)
        : layer_{layer},
          shape_{attention_shape(config, layer, heads)},
          norm_{config.qk_norm},
          norm_eps_{config.norm_eps},
          qkv_{weights.add_linear(spec, Role::qkv, Role::qkv_bias, placement)},
          query_norm_{weights.add(spec, Role::query_norm, placement)},
          key_norm_{weights.add(spec, Role::key_norm, placement)},
          whole_norm_{query_norm_, key_norm_, config.query_heads * config.head_dim,
                      config.kv_heads * config.head_dim, config.norm_eps},
          output_{weights.add_linear(spec, Role::output, Role::output_bias, placement)} {}

    Output compute(TextContext& context, Input const& x, TensorView y) const override {
        Workspace::Frame const frame(context.workspace);
        std::size_t const rows = x.local.rows;
        auto const qkv =
            qkv_(context.backend, x, context.workspace.take(context.inner, rows, qkv_.weight.rows));
        auto const query = qkv.local.cols_from(0, query_width());
        prepare(context, query, qkv.local);
        Activation<typename Spread::Inner> const mixed{
            context.workspace.take(context.compute, rows, query_width()), qkv.layout};
        attend(context, query, mixed.local);
        return output_(context.backend, mixed, y);
    }

    bool quantises(TextContext& context, TensorView const& x) const override {
        return first_quantises(qkv_, context, x);
    }

  private:
    std::size_t query_width() const { return shape_.query_heads * shape_.head_dim; }
    std::size_t kv_width() const { return shape_.kv_heads * shape_.head_dim; }

    /// Norms and rotates q and k, and stores k and v in the cache.
    void prepare(TextContext& context, TensorView query, TensorView qkv) const {
        kernels::HeadNorms norms;
        if (norm_ == QkNorm::heads) norms = {query_norm_, key_norm_, norm_eps_};
        if (norm_ == QkNorm::whole) {
            norm_whole_rows(context, query, qkv.cols_from(query_width(), kv_width()));
        }
        auto const& rows = rows_of<Spread>(context);
        context.backend.prepare_attention(qkv, shape_, norms, rows.cos_sin, rows.segments,
                                          context.cache.keys(layer_), context.cache.values(layer_));
    }

    void norm_whole_rows(TextContext& context, TensorView query, TensorView key) const {
        Workspace::Frame const frame(context.workspace);
        // A kv head that ranks share counts where its first query head is.
        std::size_t const shared = std::min(key.cols, shape_.first_query > 0 ? shape_.head_dim : 0);
        bool const cut = std::same_as<Spread, Sharded>;
        whole_norm_(context.backend, cut ? &context.redistribute : nullptr, query, key, shared,
                    context.workspace.take(DType::f32, query.rows, 2));
    }

    void attend(TextContext& context, kernels::ConstTensorView query, TensorView mixed) const {
        auto const keys = context.cache.keys(layer_), values = context.cache.values(layer_);
        auto const& segments = rows_of<Spread>(context).segments;
        if (context.phase == Step::Phase::decode) {
            context.backend.attention_decode(query, keys, values, segments, shape_, mixed);
        } else {
            context.backend.attention_prefill(query, keys, values, segments, shape_, mixed);
        }
    }

    std::size_t layer_;
    kernels::AttentionShape shape_;
    QkNorm norm_;
    float norm_eps_;
    Linear<typename Spread::Input, typename Spread::Inner> qkv_;
    kernels::ConstTensorView query_norm_, key_norm_;
    WholeNorm whole_norm_;
    Linear<typename Spread::Inner, typename Spread::Output> output_;
};

}  // namespace

LocalHeads local_heads(DecoderConfig const& config, Placement placement, int rank, int ranks) {
    auto const query = units_of(config.query_heads, placement, rank, ranks);
    if (query.count == 0) return {};
    std::size_t const group = config.queries_per_kv();
    std::size_t const first = query.begin / group, last = (query.end() - 1) / group;
    return {query, {first, last - first + 1}};
}

std::size_t attention_workspace(DecoderConfig const& config, LocalHeads const& heads,
                                TransformerOptions const& options) {
    std::size_t const rows = options.max_rows;
    std::size_t const query = heads.query.count * config.head_dim;
    std::size_t const qkv = query + 2 * heads.kv.count * config.head_dim;
    // The sums of squares are gone before the heads are mixed.
    std::size_t const sums = config.qk_norm == QkNorm::whole ? WholeNorm::workspace(rows) : 0;
    return Workspace::bytes_of(options.inner, rows, qkv) +
           std::max(sums, Workspace::bytes_of(options.compute, rows, query));
}

std::unique_ptr<Module<TextContext>> make_attention(DecoderConfig const& config, std::size_t layer,
                                                    ModuleSpec const& spec, Placement placement,
                                                    LocalHeads heads, WeightStore& weights) {
    return make_placed<Attention>(placement, config, layer, spec, placement, heads, weights);
}

}  // namespace tesserank::model
