#include "model/attention.hpp"

#include "model/linear.hpp"

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
class Attention final : public PlacedModule<Spread> {
  public:
    using typename PlacedModule<Spread>::Input;
    using typename PlacedModule<Spread>::Output;

    Attention(DecoderConfig const& config, std::size_t layer, ModuleSpec const& spec,
              Placement placement, LocalHeads heads, WeightStore& weights)
        : layer_{layer},
          shape_{attention_shape(config, layer, heads)},
          norm_{config.qk_norm},
          norm_eps_{config.norm_eps},
          query_columns_{config.query_heads * config.head_dim},
          kv_columns_{config.kv_heads * config.head_dim},
          qkv_{weights.add_linear(spec, Role::qkv, Role::qkv_bias, placement)},
          query_norm_{weights.add(spec, Role::query_norm, placement)},
          key_norm_{weights.add(spec, Role::key_norm, placement)},
          output_{weights.add_linear(spec, Role::output, Role::output_bias, placement)} {}

    Output compute(Context& context, Input const& x, TensorView y) const override {
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

  private:
    std::size_t query_width() const { return shape_.query_heads * shape_.head_dim; }
    std::size_t kv_width() const { return shape_.kv_heads * shape_.head_dim; }

    /// Norms and rotates q and k, and stores k and v in the cache.
    void prepare(Context& context, TensorView query, TensorView qkv) const {
        kernels::HeadNorms norms;
        if (norm_ == QkNorm::heads) norms = {query_norm_, key_norm_, norm_eps_};
        if (norm_ == QkNorm::whole) {
            norm_whole_rows(context, query, qkv.cols_from(query_width(), kv_width()));
        }
        auto const& rows = rows_of<Spread>(context);
        context.backend.prepare_attention(qkv, shape_, norms, rows.cos_sin, rows.segments,
                                          context.cache.keys(layer_), context.cache.values(layer_));
    }

    /// Ranks that have some of the heads tell each other the sums of their squares: two numbers for
    /// each row.
    void norm_whole_rows(Context& context, TensorView query, TensorView key) const {
        auto& backend = context.backend;
        Workspace::Frame const frame(context.workspace);
        auto const sums = context.workspace.take(DType::f32, query.rows, 2);
        auto const of_query = sums.cols_from(0, 1), of_key = sums.cols_from(1, 1);
        // A kv head that ranks share counts where its first query head is.
        std::size_t const shared = std::min(key.cols, shape_.first_query > 0 ? shape_.head_dim : 0);
        backend.square_sums(query, of_query);
        backend.square_sums(key.cols_from(shared, key.cols - shared), of_key);
        if constexpr (std::same_as<Spread, Sharded>) {
            context.redistribute(Activation<parallel::Partial>{sums, {}}, parallel::Replicated{},
                                 {.whole = sums});
        }
        backend.scale_by_square_sums(query, of_query, query_columns_, query_norm_, norm_eps_);
        backend.scale_by_square_sums(key, of_key, kv_columns_, key_norm_, norm_eps_);
    }

    void attend(Context& context, kernels::ConstTensorView query, TensorView mixed) const {
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
    std::size_t query_columns_, kv_columns_;  ///< of all ranks
    Linear<typename Spread::Input, typename Spread::Inner> qkv_;
    kernels::ConstTensorView query_norm_, key_norm_;
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
    std::size_t const sums =
        config.qk_norm == QkNorm::whole ? Workspace::bytes_of(DType::f32, rows, 2) : 0;
    return Workspace::bytes_of(options.inner, rows, qkv) +
           std::max(sums, Workspace::bytes_of(options.compute, rows, query));
}

std::unique_ptr<Module> make_attention(DecoderConfig const& config, std::size_t layer,
                                       ModuleSpec const& spec, Placement placement,
                                       LocalHeads heads, WeightStore& weights) {
    return make_placed<Attention>(placement, config, layer, spec, placement, heads, weights);
}

}  // namespace tesserank::model
