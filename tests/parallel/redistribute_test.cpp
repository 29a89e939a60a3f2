#include "parallel/redistribute.hpp"

#include "tests/parallel/redistribute_world.hpp"

namespace tesserank::test {
namespace {

/// Host memory over MPI.
class HostWorld final : public RedistributeWorld {
  public:
    explicit HostWorld(parallel::MpiCommunicator& world) : ranks_{world} {}
    kernels::Backend& backend() override { return *backend_; }
    parallel::Communicator& ranks() override { return ranks_; }

  private:
    std::unique_ptr<kernels::Backend> backend_ = kernels::make_reference_backend();
    parallel::MpiCommunicator& ranks_;
};

}  // namespace

std::unique_ptr<RedistributeWorld> make_redistribute_world(parallel::MpiCommunicator& world) {
    return std::make_unique<HostWorld>(world);
}

}  // namespace tesserank::test
