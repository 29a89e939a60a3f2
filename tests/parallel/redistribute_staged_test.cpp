#include "kernels/host_memory.hpp"
#include "parallel/staged_communicator.hpp"
#include "tests/parallel/redistribute_world.hpp"
#include "tests/support/fenced_backend.hpp"

namespace tesserank::test {
namespace {

/// Memory that the host does not reach, in pieces that are smaller than most activations here.
class StagedWorld final : public RedistributeWorld {
  public:
    explicit StagedWorld(parallel::MpiCommunicator& world)
        : ranks_{world, backend_, kernels::allocate_host(4096)} {}
    kernels::Backend& backend() override { return backend_; }
    parallel::Communicator& ranks() override { return ranks_; }

  private:
    FencedBackend backend_;
    parallel::StagedCommunicator ranks_;
};

}  // namespace

std::unique_ptr<RedistributeWorld> make_redistribute_world(parallel::MpiCommunicator& world) {
    return std::make_unique<StagedWorld>(world);
}

}  // namespace tesserank::test
