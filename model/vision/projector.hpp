#pragma once

#include "model/forward_memory.hpp"
#include "model/module.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_context.hpp"
#include "model/vision_config.hpp"
#include "model/weight_store.hpp"

#include <cstddef>
#include <memory>

namespace tesserank::model {

/// Bytes that a projector with so many columns on this rank takes of the workspace for so many
/// features.
std::size_t projector_workspace(VisionConfig const& config, std::size_t features,
                                std::size_t columns, TransformerOptions const& options);

/// From shuffled patches to what stands in a prompt: layer norm, then a Perceptron.  x [F, s*s*Hv]
/// f32 -> y [F, H] f32. The norm is computed wherever the perceptron is.
std::unique_ptr<Module<VisionContext>> make_projector(VisionConfig const& config,
                                                      ModuleSpec const& spec, Placement placement,
                                                      WeightStore& weights);

}  // namespace tesserank::model
