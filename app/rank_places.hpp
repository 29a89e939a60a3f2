#pragma once

#include "app/machine.hpp"
#include "parallel/communicator.hpp"

#include <vector>

namespace tesserank::app {

/// The places of all ranks, on every rank. Collective.
std::vector<RankPlace> gather_places(parallel::Communicator& ranks);

}  // namespace tesserank::app
