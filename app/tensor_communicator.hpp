#pragma once

#include "kernels/backend.hpp"
#include "parallel/communicator.hpp"
#include "parallel/mpi_communicator.hpp"

#include <memory>
#include <string_view>

namespace tesserank::app {

/// What carries tensors of this backend between the ranks: `comm` is "nccl" or "mpi". Null where
/// MPI reaches the backend's memory by itself. One rank over "mpi" needs nobody. Collective.
/// `queue_seconds`: how long what NCCL has queued may stand still before it is given up.
/// Errors: SystemError on all ranks when NCCL does not start.
std::unique_ptr<parallel::Communicator> make_tensor_communicator(std::string_view comm,
                                                                 kernels::Backend& backend,
                                                                 parallel::MpiCommunicator& ranks,
                                                                 double queue_seconds);

}  // namespace tesserank::app
