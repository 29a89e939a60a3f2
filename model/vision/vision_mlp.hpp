#pragma once

#include "model/module.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_context.hpp"
#include "model/vision_config.hpp"
#include "model/weight_store.hpp"

#include <memory>

namespace tesserank::model {

/// The MLP of a vision block: a Perceptron.
std::unique_ptr<Module<VisionContext>> make_vision_mlp(VisionConfig const& config,
                                                       ModuleSpec const& spec, Placement placement,
                                                       WeightStore& weights);

}  // namespace tesserank::model
