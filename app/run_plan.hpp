#pragma once

#include "app/rank_device.hpp"
#include "app/run_options.hpp"
#include "io/model_file/set_index.hpp"
#include "model/module_work.hpp"
#include "model/placement.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <string>

namespace tesserank::app {

/// What a plan for a run depends on besides the command line.
struct RunPlanInput {
    model::PlannedWork model;
    std::size_t bytes_per_rank = 0;     ///< that the ranks may take, the least of all
    std::size_t new_tokens = 1;         ///< of a usual request
    std::size_t candidates = 1;         ///< of a usual request; see candidates_for()
    io::SetIndex const* set = nullptr;  ///< which has a plan already
};

/// The plan of --placement, or of a set, the same on all ranks, with its streams. `auto` searches
/// for it, with the machine of --machine or, without one, what these ranks measure in a few
/// seconds. Only rank 0 looks at files; it writes --plan-out. Collective. Errors, the same on every
/// rank: InputError, also when the plan does not fit the memory, naming by how much and which
/// presets would.
model::PlacementPlan plan_for_run(RunOptions const& options, RunPlanInput const& input,
                                  RankDevice& device, parallel::MpiCommunicator& ranks);

/// Whether the vision encoder stays in memory between batches: as --keep-vision says, or, by
/// default, where every rank has room for it beside as large a batch as is wished for.
bool keeps_vision(RunOptions const& options, RunPlanInput const& input,
                  model::PlacementPlan const& plan);

/// For people, on one line: the placements, what the ranks hold, and what they send in a decode
/// step.
std::string plan_summary(model::PlannedWork const& model, model::PlacementPlan const& plan,
                         model::StepShape const& step);

}  // namespace tesserank::app
