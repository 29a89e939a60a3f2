#include "tests/parallel/nccl_world.hpp"
#include "tests/parallel/redistribute_world.hpp"

namespace tesserank::test {
namespace {

/// Memory of the emulated device, whose copies and calls wait in one stream.
class DeviceWorld final : public RedistributeWorld {
  public:
    explicit DeviceWorld(parallel::MpiCommunicator& world)
        : device_{world, {.library = NCCL_DOUBLE}} {}
    kernels::Backend& backend() override { return device_.backend; }
    parallel::Communicator& ranks() override { return device_.ranks(); }

  private:
    NcclWorld device_;
};

}  // namespace

std::unique_ptr<RedistributeWorld> make_redistribute_world(parallel::MpiCommunicator& world) {
    return std::make_unique<DeviceWorld>(world);
}

}  // namespace tesserank::test
