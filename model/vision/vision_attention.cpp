#include "model/vision/vision_attention.hpp"

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

kernels::AttentionShape attention_shape(VisionConfig const& config, std::size_t heads) {
    return {.query_heads = heads,
            .kv_heads = heads,
            .head_dim = config.head_dim,
            .scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim)),
            .causal = false};
}

template <class Spread>
class VisionAttention final : public PlacedModule<Spread, VisionContext> {
  public:
    using typename PlacedModule<Spread, VisionContext>::Input;
    using typename PlacedModule<Spread, VisionContext>::Output;

    VisionAttention(VisionConfig const& config, ModuleSpec const& spec, Placement placement,
                    std::size_t heads, WeightStore& weights)
        : shape_{attention_shape(config, heads)},
          normed_{config.qk_norm == QkNorm::whole},
          qkv_{weights.add_linear(spec, Role::qkv, Role::qkv_bias, placement)},
          norm_{weights.add(spec, Role::query_norm, placement),
                weights.add(spec, Role::key_norm, placement), config.hidden, config.hidden,
                config.qk_norm_eps},
          output_{weights.add_linear(spec, Role::output, Role::output_bias, placement)} {}

    Output compute(VisionContext& context, Input const& x, TensorView y) const override {
        Workspace::Frame const frame(context.workspace);
        std::size_t const rows = x.local.rows, width = shape_.query_heads * shape_.head_dim;
        auto const qkv =
            qkv_(context.backend, x, context.workspace.take(context.inner, rows, 3 * width));
        auto const part = [&](std::size_t index) {
            return qkv.local.cols_from(index * width, width);
        };
        if (normed_) norm_whole_rows(context, part(0), part(1));
        Activation<typename Spread::Inner> const mixed{
            context.workspace.take(context.compute, rows, width), qkv.layout};
        context.backend.attention_prefill(part(0), part(1), part(2), rows_of<Spread>(context),
                                          shape_, mixed.local);
        return output_(context.backend, mixed, y);
    }

    bool quantises(VisionContext& context, TensorView const& x) const override {
        return first_quantises(qkv_, context, x);
    }

  private:
    void norm_whole_rows(VisionContext& context, TensorView query, TensorView key) const {
        Workspace::Frame const frame(context.workspace);
        bool const cut = std::same_as<Spread, Sharded>;
        norm_(context.backend, cut ? &context.redistribute : nullptr, query, key, 0,
              context.workspace.take(DType::f32, query.rows, 2));
    }

    kernels::AttentionShape shape_;
    bool normed_;
    Linear<typename Spread::Input, typename Spread::Inner> qkv_;
    WholeNorm norm_;
    Linear<typename Spread::Inner, typename Spread::Output> output_;
};

}  // namespace

std::size_t vision_attention_workspace(VisionConfig const& config, std::size_t rows,
                                       std::size_t heads, TransformerOptions const& options) {
    std::size_t const width = heads * config.head_dim;
    // The sums of squares are gone before the heads are mixed.
    std::size_t const sums = config.qk_norm == QkNorm::whole ? WholeNorm::workspace(rows) : 0;
    return Workspace::bytes_of(options.inner, rows, 3 * width) +
           std::max(sums, Workspace::bytes_of(options.compute, rows, width));
}

std::unique_ptr<Module<VisionContext>> make_vision_attention(VisionConfig const& config,
                                                             ModuleSpec const& spec,
                                                             Placement placement, std::size_t heads,
                                                             WeightStore& weights) {
    return make_placed<VisionAttention>(placement, config, spec, placement, heads, weights);
}

}  // namespace tesserank::model
