#pragma once

#include "kernels/dtype.hpp"
#include "model/placement.hpp"
#include "parallel/collective.hpp"

#include <functional>
#include <span>

namespace tesserank::model {

/// What a collective on one [T, H] activation of this dtype costs, in any unit that adds up.
using CollectiveCost = std::function<double(parallel::Collective kind, kernels::DType dtype)>;

/// Without measurements: starting a collective is as dear as moving a few activations, and an
/// all-reduce moves twice what the others do.
double assumed_collective_cost(parallel::Collective kind, kernels::DType dtype);

/// Chooses where the residual stream lies while each module runs (plan.streams), so that the
/// redistributions of a forward pass cost least: around each module its norm's result is brought to
/// the module's input layout and the module's result back to the stream, and between two modules
/// the stream itself may move. By dynamic programming over the layouts; a Replicated stream becomes
/// any other for nothing. The stream is cut by sequence only in a plan that deals sequences out. A
/// vision encoder has a stream of its own, cut by tile, whose features come to all ranks.
void settle_streams(PlacementPlan& plan, std::span<ModuleSpec const> modules,
                    kernels::DType compute, CollectiveCost const& cost = assumed_collective_cost);

}  // namespace tesserank::model
