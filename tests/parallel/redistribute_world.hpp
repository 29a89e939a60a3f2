#pragma once

#include "kernels/backend.hpp"
#include "parallel/communicator.hpp"
#include "parallel/mpi_communicator.hpp"

#include <memory>

namespace tesserank::test {

/// A backend, and the communicator for its memory.
class RedistributeWorld {
  public:
    virtual ~RedistributeWorld() = default;
    virtual kernels::Backend& backend() = 0;
    virtual parallel::Communicator& ranks() = 0;
};

/// Each test program has its own; the tests are in redistribute_contract.cpp.
std::unique_ptr<RedistributeWorld> make_redistribute_world(parallel::MpiCommunicator& world);

}  // namespace tesserank::test
