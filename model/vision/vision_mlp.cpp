#include "model/vision/vision_mlp.hpp"

#include "model/vision/perceptron.hpp"

namespace tesserank::model {
namespace {

template <class Spread>
class VisionMlp final : public PlacedModule<Spread, VisionContext> {
  public:
    using typename PlacedModule<Spread, VisionContext>::Input;
    using typename PlacedModule<Spread, VisionContext>::Output;

    VisionMlp(VisionConfig const& config, ModuleSpec const& spec, Placement placement,
              WeightStore& weights)
        : perceptron_{config.activation, spec, placement, weights} {}

    Output compute(VisionContext& context, Input const& x, kernels::TensorView y) const override {
        return perceptron_(context, x, y);
    }

    bool quantises(VisionContext& context, kernels::TensorView const& x) const override {
        return perceptron_.quantises(context, x);
    }

  private:
    Perceptron<Spread> perceptron_;
};

}  // namespace

std::unique_ptr<Module<VisionContext>> make_vision_mlp(VisionConfig const& config,
                                                       ModuleSpec const& spec, Placement placement,
                                                       WeightStore& weights) {
    return make_placed<VisionMlp>(placement, config, spec, placement, weights);
}

}  // namespace tesserank::model
