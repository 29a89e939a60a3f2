#pragma once

#include "model/static_batch.hpp"
#include "model/transformer.hpp"
#include "parallel/mpi_communicator.hpp"

#include <vector>

namespace tesserank::model {

/// Gives rank 0's sequences to every rank. Collective.
std::vector<Sequence> share_sequences(parallel::MpiCommunicator& ranks,
                                      std::vector<Sequence> sequences);

/// A batch of rank 0's sequences on every rank, dealt out as the model's plan wants it, with room
/// for its keys and values. Collective.
StaticBatch start_batch(Transformer& model, parallel::MpiCommunicator& ranks,
                        std::vector<Sequence> sequences);

}  // namespace tesserank::model
