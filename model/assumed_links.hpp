#pragma once

#include "kernels/backend.hpp"
#include "model/calibration_shapes.hpp"
#include "model/machine.hpp"

namespace tesserank::model {

/// A machine for planning without the ranks: computes as `local`, which was measured in one
/// process, and has `ranks` of them whose collectives are ASSUMED: those of ranks on one node that
/// share memory. What ranks take from each other's memory bandwidth is not known to it. Say so to
/// the user.
Machine with_assumed_links(Machine const& local, int ranks);

/// The same for one model: measures its shapes in this process, without MPI.
Machine measure_with_assumed_links(kernels::Backend& backend, ModelRun const& run, double seconds);

/// What with_assumed_links() makes up, in words for the user.
inline constexpr char const* assumed_links_note =
    "collectives are assumed as through shared memory, and ranks not to slow each other down; "
    "measure them: mpirun -n RANKS tesserank calibrate --output machine.json";

}  // namespace tesserank::model
