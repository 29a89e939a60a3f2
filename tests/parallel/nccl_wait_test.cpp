#include "kernels/cuda_device.hpp"
#include "kernels/error.hpp"
#include "kernels/resident_decode.hpp"
#include "parallel/nccl.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/nccl_double.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tesserank::test {
namespace {

using kernels::DType;
using kernels::SystemError;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

/// The last rank stops calling; the others, whose devices wait for it, wait for their devices. The
/// backend and the communicator are joined as app/rank_device.cpp does it.
class NcclWaitTest : public MpiTest {
  protected:
    static constexpr double patience = 0.5;

    NcclWaitTest() {
        backend->set_watch([this](double seconds) { ranks->check(seconds); });
        nccl.while_waiting = [this](double seconds) { look(seconds); };
        ranks->broadcast({memory.get(), bytes}, 0);
        backend->synchronize();
        if (world.rank() + 1 < world.size()) ranks->all_reduce({memory.get(), bytes}, DType::f32);
    }
    ~NcclWaitTest() override {
        nccl = {};
        backend->set_watch(nullptr);
    }

    /// A GPU that waits lets its host look meanwhile; the emulated one has the host's thread.
    void look(double seconds) {
        try {
            ranks->check(seconds);
        } catch (SystemError const&) {
            // Again at the next look.
        }
    }

    template <class Wait>
    void expect_an_end(Wait const& wait) {
        if (world.rank() == world.size() - 1) {
            std::this_thread::sleep_for(std::chrono::seconds(4));
            auto const hear = [&] {
                for (int look = 0; look < 1000; ++look) ranks->check(0.0);
            };
            EXPECT_THROW(hear(), SystemError);
            return;
        }
        auto const start = Clock::now();
        std::string text = "no error";
        try {
            wait();
        } catch (SystemError const& error) {
            text = error.what();
        }
        EXPECT_THAT(text, HasSubstr("NCCL all_reduce (call 2)"));
        EXPECT_THAT(text,
                    HasSubstr("rank " + std::to_string(world.size() - 1) + ": does not answer"));
        EXPECT_LT(std::chrono::duration<double>(Clock::now() - start).count(), 4.0);
    }

    static constexpr std::size_t bytes = 64;
    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(0);
    kernels::Buffer memory = backend->allocate(bytes);
    std::unique_ptr<parallel::Communicator> ranks = parallel::make_nccl_communicator(
        world, kernels::cuda_stream_of(*backend), {.library = NCCL_DOUBLE, .seconds = patience});
    NcclDouble& nccl = nccl_double(NCCL_DOUBLE);
};

TEST_F(NcclWaitTest, SynchronizeEnds) {
    expect_an_end([&] { backend->synchronize(); });
}

TEST_F(NcclWaitTest, ACopyToTheHostEnds) {
    std::vector<std::byte> host(bytes);
    expect_an_end([&] { backend->copy_to_host(memory.get(), host); });
}

TEST_F(NcclWaitTest, ALandingEnds) {
    auto const landing = backend->resident_decode()->make_landing(bytes);
    expect_an_end([&] {
        landing->start(memory.get(), bytes);
        landing->wait();
    });
}

}  // namespace
}  // namespace tesserank::test
