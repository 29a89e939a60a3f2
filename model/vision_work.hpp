#pragma once

#include "model/module_work.hpp"
#include "model/placement.hpp"

#include <vector>

namespace tesserank::model {

/// The passes in which the tiles of a batch are encoded, as loads: rows of the encoder's stream,
/// features for outputs, tiles for the batch by which rows are dealt out. None without tiles.
std::vector<CountedLoad> vision_loads_of(DecoderConfig const& config, PlacementPlan const& plan,
                                         TransformerOptions const& options,
                                         Workload const& workload);

/// What one rank computes in such a pass of a module of the encoder that is no norm.
ModuleWork vision_work_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                          int rank, StepLoad const& load);

}  // namespace tesserank::model
