#include "kernels/cuda_device.hpp"
#include "kernels/error.hpp"
#include "parallel/nccl.hpp"
#include "parallel/peer_sums.hpp"
#include "tests/emulation/device.hpp"
#include "tests/emulation/fault.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/nccl_double.hpp"

#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>

namespace tesserank::test {
namespace {

using kernels::DType;
using kernels::SystemError;
using parallel::PeerSums;
using ::testing::HasSubstr;

/// Sums within kernels of the emulated device where something fails: all ranks end, and what they
/// read of each other is freed when nobody does any more.
class PeerFailureTest : public MpiTest {
  protected:
    ~PeerFailureTest() override {
        nccl = {};
        emulation::fail_ipc_after(std::numeric_limits<std::size_t>::max());
        emulation::clear_fault();
        backend->set_watch(nullptr);
    }

    static std::string error_of(std::function<void()> const& work) {
        try {
            work();
        } catch (SystemError const& error) {
            return error.what();
        }
        return "no error";
    }
    std::string error_of_start() {
        return error_of([this] { PeerSums(world, *backend, {}); });
    }
    /// Others are first.
    void come_late() const {
        if (is_last) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }

    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(0);
    NcclDouble& nccl = nccl_double(NCCL_DOUBLE);
    int const last = world.size() - 1;
    bool const is_last = world.rank() == last;
};

TEST_F(PeerFailureTest, AFailureOfNcclEndsWhoWaitsWithinAKernel) {
    auto ranks = parallel::make_nccl_communicator(world, kernels::cuda_stream_of(*backend),
                                                  {.library = NCCL_DOUBLE, .seconds = 60.0});
    ranks->set_peers(
        std::make_shared<PeerSums>(world, *backend, parallel::PeerSumOptions{.seconds = 60.0}));
    backend->set_watch([&](double seconds) { ranks->check(seconds); });
    auto const start = std::chrono::steady_clock::now();
    auto tensor = make_tensor(*backend, DType::f32, 1, 16);
    backend->synchronize();
    auto const text = error_of([&] {
        if (is_last) {
            nccl.calls_until_error = 0;
            ranks->all_reduce({tensor.view.data, tensor.view.bytes()}, DType::f32);
        } else {
            ranks->peers()->add_rms_norm(tensor.view, tensor.view, tensor.view, 1e-5F, tensor.view);
        }
        backend->synchronize();
        ranks->check(0.0);
    });
    EXPECT_THAT(text, HasSubstr("rank " + std::to_string(world.rank()) + ": NCCL"));
    EXPECT_THAT(text, HasSubstr("failed: remote process exited"));
    tensor = {};  // as unwinding does it: waits for what is queued
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    backend->set_watch(nullptr);
    ranks.reset();
}

TEST_F(PeerFailureTest, MemoryIsFreedWhenNobodyHasItOpen) {
    for (int round = 0; round < 3; ++round) {
        auto peers = std::make_unique<PeerSums>(world, *backend, parallel::PeerSumOptions{});
        come_late();
        peers.reset();
        EXPECT_EQ(error_of([&] { backend->synchronize(); }), "no error");
    }
}

TEST_F(PeerFailureTest, ARankWhoseMemoryIsNotReachedIsEveryRanksError) {
    if (is_last) emulation::fail_ipc_after(0);
    auto const text = error_of_start();
    EXPECT_THAT(text, HasSubstr("rank " + std::to_string(last) + " ("));
    EXPECT_THAT(text, HasSubstr("cudaIpcGetMemHandle"));
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "the next launch would be blamed for it";
    EXPECT_EQ(error_of([&] { backend->synchronize(); }), "no error");
}

TEST_F(PeerFailureTest, ARankThatReachesNoOtherIsEveryRanksError) {
    if (is_last) emulation::fail_ipc_after(1);
    auto const text = error_of_start();
    EXPECT_THAT(text, HasSubstr("rank " + std::to_string(last) + " ("));
    EXPECT_THAT(text, HasSubstr("does not reach the memory of rank 0: cudaIpcOpenMemHandle"));
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "the next launch would be blamed for it";
    EXPECT_EQ(error_of([&] { backend->synchronize(); }), "no error");
}

}  // namespace
}  // namespace tesserank::test
