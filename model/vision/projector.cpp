#include "model/vision/projector.hpp"

#include "model/norm.hpp"
#include "model/vision/perceptron.hpp"

namespace tesserank::model {
namespace {

template <class Spread>
class Projector final : public PlacedModule<Spread, VisionContext> {
  public:
    using typename PlacedModule<Spread, VisionContext>::Input;
    using typename PlacedModule<Spread, VisionContext>::Output;

    Projector(VisionConfig const& config, ModuleSpec const& spec, Placement placement,
              WeightStore& weights)
        : norm_{.kind = Norm::Kind::layer,
                .weight = weights.add(spec, Role::norm, placement),
                .bias = weights.add(spec, Role::norm_bias, placement),
                .eps = config.projector_eps},
          perceptron_{config.projector_activation, spec, placement, weights} {}

    Output compute(VisionContext& context, Input const& x, kernels::TensorView y) const override {
        Workspace::Frame const frame(context.workspace);
        Input const normed{context.workspace.take(context.compute, x.local.rows, x.local.cols),
                           x.layout};
        // A surplus rank has no norm, and no columns behind it.
        if (norm_.weight.data != nullptr) norm_(context.backend, x.local, normed.local);
        return perceptron_(context, normed, y);
    }

  private:
    Norm norm_;
    Perceptron<Spread> perceptron_;
};

}  // namespace

std::size_t projector_workspace(VisionConfig const& config, std::size_t features,
                                std::size_t columns, TransformerOptions const& options) {
    return Workspace::bytes_of(options.compute, features, config.shuffled()) +
           perceptron_workspace(features, columns, options);
}

std::unique_ptr<Module<VisionContext>> make_projector(VisionConfig const& config,
                                                      ModuleSpec const& spec, Placement placement,
                                                      WeightStore& weights) {
    return make_placed<Projector>(placement, config, spec, placement, weights);
}

}  // namespace tesserank::model
