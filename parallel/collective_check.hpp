#pragma once

#include "parallel/collective_call.hpp"

#include <mpi.h>

#include <string>
#include <vector>

namespace tesserank::parallel {

/// Compares what the ranks call, before they do. Owns a private duplicate of their communicator.
/// Private to this folder.
class CollectiveCheck {
  public:
    /// Collective over `ranks`.
    explicit CollectiveCheck(MPI_Comm ranks);
    ~CollectiveCheck();
    CollectiveCheck(CollectiveCheck const&) = delete;
    CollectiveCheck& operator=(CollectiveCheck const&) = delete;

    /// Collective. Errors: LogicError (Agreed) with the calls of two ranks that do not fit each
    /// other.
    void compare(CollectiveRecord const& mine);

  private:
    MPI_Comm comm_ = MPI_COMM_NULL;
    int exceptions_;                     ///< in flight at construction
    std::vector<CollectiveRecord> all_;  ///< by rank
};

/// What is wrong with the calls of these ranks, given in rank order; empty: they fit.
std::string mismatch_of(std::vector<CollectiveRecord> const& calls);

}  // namespace tesserank::parallel
