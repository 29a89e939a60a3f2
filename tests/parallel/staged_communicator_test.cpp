#include "parallel/staged_communicator.hpp"

#include "kernels/error.hpp"
#include "kernels/host_memory.hpp"
#include "parallel/mpi_library.hpp"
#include "tests/parallel/communicator_contract.hpp"
#include "tests/support/fenced_backend.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <list>
#include <memory>

namespace tesserank::test {
namespace {

using parallel::MpiAccess;
using parallel::MpiCommunicator;
using parallel::StagedCommunicator;

/// Ranks whose memory is `Device`'s, with so much host memory for each rank's messages.
template <class Device>
class StagedWorld final : public ContractWorld {
  public:
    StagedWorld(std::size_t staging, MpiAccess access)
        : ranks_{mpi_, device_, kernels::allocate_host(staging), access} {}

    parallel::Communicator& ranks() override { return ranks_; }
    std::span<std::byte> allocate(std::size_t bytes) override {
        return {memory_.emplace_back(device_.allocate(bytes)).get(), bytes};
    }
    void write(Bytes const& source, std::span<std::byte> destination) override {
        device_.copy_from_host(source, destination.data());
    }
    Bytes read(std::span<std::byte const> source) override {
        Bytes bytes(source.size());
        device_.copy_to_host(source.data(), bytes);
        return bytes;
    }

  private:
    MpiCommunicator mpi_ = MpiCommunicator::world();
    Device device_;
    StagedCommunicator ranks_;
    std::list<kernels::Buffer> memory_;
};

template <std::size_t staging>
std::unique_ptr<ContractWorld> make_staged(MpiCommunicator& /*world*/) {
    return std::make_unique<StagedWorld<FencedBackend>>(staging, MpiAccess::staged);
}

/// A device that MPI reaches: as it is with a CUDA-aware library, here with host memory.
std::unique_ptr<ContractWorld> make_direct(MpiCommunicator& /*world*/) {
    using Device = kernels::reference::ReferenceBackend;
    return std::make_unique<StagedWorld<Device>>(std::size_t{1} << 16, MpiAccess::direct);
}

INSTANTIATE_TEST_SUITE_P(Staged, CommunicatorContract,
                         ::testing::Values(ContractCase{"Whole", make_staged<(1 << 20)>},
                                           ContractCase{"By4096", make_staged<4096>},
                                           ContractCase{"By640", make_staged<640>},
                                           ContractCase{"Direct", make_direct}),
                         ::testing::PrintToStringParamName());

using StagedCommunicatorTest = MpiTest;

TEST_F(StagedCommunicatorTest, NeedsRoomForAPieceOfEachRank) {
    FencedBackend device;
    auto const make = [&](std::size_t bytes) {
        StagedCommunicator(world, device, kernels::allocate_host(bytes));
    };
    auto const least = 2 * 64 * static_cast<std::size_t>(world.size());
    EXPECT_NO_THROW(make(least));
    EXPECT_THROW(make(least - 1), kernels::LogicError);
}

TEST_F(StagedCommunicatorTest, TheHostWaitsForItsCalls) {
    FencedBackend device;
    StagedCommunicator const ranks(world, device, kernels::allocate_host(4096));
    EXPECT_FALSE(ranks.queued());
}

TEST(FencedBackend, KeepsOthersOut) {
    FencedBackend device;
    auto const memory = device.allocate(100);
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(pipe(pipe_ends.data()), 0);
    EXPECT_EQ(write(pipe_ends[1], memory.get(), 100), -1);
    EXPECT_EQ(errno, EFAULT);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

TEST(MpiLibrary, SaysWhetherItReachesTheDevice) { EXPECT_NO_THROW(parallel::mpi_reaches_cuda()); }

}  // namespace
}  // namespace tesserank::test
