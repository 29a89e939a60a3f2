#pragma once

#include "model/static_batch.hpp"
#include "parallel/mpi_communicator.hpp"

#include <vector>

namespace tesserank::model {

/// Gives rank 0's sequences to every rank. Collective.
std::vector<Sequence> share_sequences(parallel::MpiCommunicator& ranks,
                                      std::vector<Sequence> sequences);

}  // namespace tesserank::model
