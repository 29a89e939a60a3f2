#pragma once

#include "kernels/backend.hpp"
#include "model/forward_memory.hpp"
#include "model/linear.hpp"
#include "model/module.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_context.hpp"
#include "model/weight_store.hpp"
#include "model/workspace.hpp"

#include <cstddef>

namespace tesserank::model {

/// down(act(up(x))), without a gate.  shard: up column-parallel, down row-parallel, Partial out.
template <class Spread>
class Perceptron {
    using Input = parallel::Activation<typename Spread::Input>;
    using Inner = parallel::Activation<typename Spread::Inner>;
    using Output = parallel::Activation<typename Spread::Output>;

  public:
    Perceptron(kernels::Activation activation, ModuleSpec const& spec, Placement placement,
               WeightStore& weights)
        : activation_{activation},
          up_{weights.add_linear(spec, Role::up, Role::up_bias, placement)},
          down_{weights.add_linear(spec, Role::down, Role::down_bias, placement)} {}

    /// x [T, H] in the compute dtype -> y [T, columns of down] f32
    Output operator()(VisionContext& context, Input const& x, kernels::TensorView y) const {
        Workspace::Frame const frame(context.workspace);
        std::size_t const rows = x.local.rows, columns = up_.weight.rows;
        auto const up =
            up_(context.backend, x, context.workspace.take(context.inner, rows, columns));
        bool const in_place = context.inner == context.compute;
        Inner const inner{
            in_place ? up.local : context.workspace.take(context.compute, rows, columns),
            up.layout};
        context.backend.activation(activation_, up.local, inner.local);
        return down_(context.backend, inner, y);
    }

    /// See Module::quantises.
    bool quantises(VisionContext& context, kernels::TensorView const& x) const {
        return first_quantises(up_, context, x);
    }

  private:
    kernels::Activation activation_;
    Linear<typename Spread::Input, typename Spread::Inner> up_;
    Linear<typename Spread::Inner, typename Spread::Output> down_;
};

/// Bytes that a perceptron with so many columns on this rank takes of the workspace.
inline std::size_t perceptron_workspace(std::size_t rows, std::size_t columns,
                                        TransformerOptions const& options) {
    std::size_t const inner = Workspace::bytes_of(options.inner, rows, columns);
    bool const in_place = options.inner == options.compute;
    return inner + (in_place ? 0 : Workspace::bytes_of(options.compute, rows, columns));
}

}  // namespace tesserank::model
