#include "model/mlp.hpp"

#include "model/linear.hpp"

namespace tesserank::model {
namespace {

using kernels::TensorView;
using parallel::Activation;

template <class Spread>
class Mlp final : public PlacedModule<Spread, TextContext> {
  public:
    using typename PlacedModule<Spread, TextContext>::Input;
    using typename PlacedModule<Spread, TextContext>::Output;

    Mlp(DecoderConfig const& config, ModuleSpec const& spec, Placement placement,
        WeightStore& weights)
        : activation_{config.activation},
          gate_up_{weights.add_linear(spec, Role::gate_up, Role::gate_up_bias, placement)},
          down_{weights.add_linear(spec, Role::down, Role::down_bias, placement)} {}

    Output compute(TextContext& context, Input const& x, TensorView y) const override {
        Workspace::Frame const frame(context.workspace);
        std::size_t const rows = x.local.rows, columns = gate_up_.weight.rows / 2;
        auto const both =
            gate_up_(context.backend, x, context.workspace.take(context.inner, rows, 2 * columns));
        Activation<typename Spread::Inner> const inner{
            context.workspace.take(context.compute, rows, columns), both.layout};
        context.backend.gated_activation(activation_, both.local.cols_from(0, columns),
                                         both.local.cols_from(columns, columns), inner.local);
        return down_(context.backend, inner, y);
    }

    bool quantises(TextContext& context, TensorView const& x) const override {
        return first_quantises(gate_up_, context, x);
    }

  private:
    kernels::Activation activation_;
    Linear<typename Spread::Input, typename Spread::Inner> gate_up_;
    Linear<typename Spread::Inner, typename Spread::Output> down_;
};

}  // namespace

std::size_t mlp_workspace(std::size_t columns, TransformerOptions const& options) {
    return Workspace::bytes_of(options.inner, options.max_rows, 2 * columns) +
           Workspace::bytes_of(options.compute, options.max_rows, columns);
}

std::unique_ptr<Module<TextContext>> make_mlp(DecoderConfig const& config, ModuleSpec const& spec,
                                              Placement placement, WeightStore& weights) {
    return make_placed<Mlp>(placement, config, spec, placement, weights);
}

}  // namespace tesserank::model
