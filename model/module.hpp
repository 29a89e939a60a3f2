#pragma once

#include "kernels/backend.hpp"
#include "kernels/error.hpp"
#include "model/linear.hpp"
#include "model/placement.hpp"
#include "model/workspace.hpp"
#include "parallel/layout.hpp"
#include "parallel/redistribute.hpp"

#include <concepts>
#include <memory>
#include <utility>
#include <variant>

namespace tesserank::model {

/// A placed part of the model. Its weights are this rank's share. Communicates nothing, but for the
/// sums of a norm over a dimension that is cut: the layouts of what it takes and gives tell what
/// the ranks must do before and behind it. `Context` is what a forward pass hands to each module.
template <class Context>
class Module {
  public:
    virtual ~Module() = default;

    /// x [T, H] in the layout of the module's placement (another one is a LogicError), in the
    /// compute dtype unless the module says otherwise; y [T, columns of the result] f32, with as
    /// many rows as x has here, receives this rank's part of the result.
    virtual parallel::AnyActivation forward(Context& context, parallel::AnyActivation const& x,
                                            kernels::TensorView y) const = 0;

    /// Whether the product that reads x first would quantise rows like these, in the module's
    /// layout and its compute dtype: forward() then takes them quantised as well, in the same
    /// memory.
    virtual bool quantises(Context& /*context*/, kernels::TensorView const& /*x*/) const {
        return false;
    }
};

/// A module whose work is spread in one of the ways of linear.hpp: inside it the layouts are types.
template <class Spread, class Context>
class PlacedModule : public Module<Context> {
  public:
    using Base = Module<Context>;
    using Input = parallel::Activation<typename Spread::Input>;
    using Output = parallel::Activation<typename Spread::Output>;

    parallel::AnyActivation forward(Context& context, parallel::AnyActivation const& x,
                                    kernels::TensorView y) const final {
        auto const* const input = std::get_if<Input>(&x);
        kernels::require(input != nullptr, "a module got an input in another layout than its own");
        if constexpr (std::same_as<Input, Output>) {
            // A rank without rows has nothing to do, and under single:R no weights to do it with.
            if (input->local.rows == 0) return Output{y, input->layout};
        }
        return compute(context, *input, y);
    }

    virtual Output compute(Context& context, Input const& x, kernels::TensorView y) const = 0;
};

/// Module::quantises of one whose forward pass begins with `linear`, into the first memory that it
/// takes of the workspace.
template <class Context>
bool first_quantises(auto const& linear, Context& context, kernels::TensorView const& x) {
    Workspace::Frame const frame(context.workspace);
    return linear.quantises(context.backend, x,
                            context.workspace.take(context.inner, x.rows, linear.weight.rows));
}

/// Which rows of a pass a module with this spread computes.
template <class Spread>
auto const& rows_of(auto const& context) {
    return std::same_as<Spread, SplitBatch> ? context.own : context.all;
}

/// The module `Kind<Spread>` for a placement.
template <template <class> class Kind, class... Arguments>
std::unique_ptr<typename Kind<Whole>::Base> make_placed(Placement placement,
                                                        Arguments&&... arguments) {
    switch (placement.kind) {
        case Placement::Kind::shard:
            return std::make_unique<Kind<Sharded>>(std::forward<Arguments>(arguments)...);
        case Placement::Kind::split_batch:
            return std::make_unique<Kind<SplitBatch>>(std::forward<Arguments>(arguments)...);
        case Placement::Kind::single:
            return std::make_unique<Kind<Single>>(std::forward<Arguments>(arguments)...);
        case Placement::Kind::replicate:
            break;
    }
    return std::make_unique<Kind<Whole>>(std::forward<Arguments>(arguments)...);
}

}  // namespace tesserank::model
