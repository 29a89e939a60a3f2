#pragma once

#include "model/machine.hpp"

namespace tesserank::model {

/// A machine for planning without the ranks: computes as `local`, which was measured in one
/// process, and has `ranks` of them whose collectives are ASSUMED: those of ranks on one node that
/// share memory. What ranks take from each other's memory bandwidth is not known to it. Say so to
/// the user.
Machine with_assumed_links(Machine const& local, int ranks);

/// What with_assumed_links() makes up, in words for the user.
inline constexpr char const* assumed_links_note =
    "collectives are assumed as through shared memory, and ranks not to slow each other down; "
    "measure them: mpirun -n RANKS tesserank calibrate --output machine.json";

}  // namespace tesserank::model
