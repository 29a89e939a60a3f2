#include "kernels/error.hpp"
#include "parallel/nccl.hpp"
#include "parallel/whereabouts.hpp"
#include "tests/parallel/nccl_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace tesserank::test {
namespace {

using kernels::DType;
using kernels::SystemError;
using parallel::NcclOptions;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

/// One of several ranks fails; all must end soon, each with a message that tells which one it was.
class NcclFailureTest : public MpiTest {
  protected:
    void TearDown() override {
        nccl = {};
        EXPECT_LT(std::chrono::duration<double>(Clock::now() - start).count(), 10.0);
        MpiTest::TearDown();
    }

    std::string error_of(std::function<void()> const& work) {
        try {
            work();
        } catch (SystemError const& error) {
            return error.what();
        }
        return "no error";
    }
    /// Queues `call` and waits for the stream as a backend does; gives the error that ended it.
    std::string error_of_call(NcclWorld& device, std::function<void()> const& call) {
        auto text = error_of(call);
        nccl.while_waiting = [&](double seconds) {
            auto const error = error_of([&] { device.ranks().check(seconds); });
            if (text == "no error") text = error;
        };
        device.stream.synchronize();
        nccl.while_waiting = nullptr;
        if (text == "no error") text = error_of([&] { device.ranks().check(0.0); });
        return text;
    }
    static std::string named(int rank) { return "rank " + std::to_string(rank) + ": "; }

    NcclDouble& nccl = nccl_double(NCCL_DOUBLE);
    Clock::time_point const start = Clock::now();
    int const last = world.size() - 1;
    bool const is_last = world.rank() == last;
};

TEST_F(NcclFailureTest, ALibraryThatOneRankLacksIsEveryRanksError) {
    NcclOptions const options{.library = is_last ? "/nowhere/libnccl.so.2" : NCCL_DOUBLE};
    auto const text = error_of([&] { NcclWorld(world, options); });
    EXPECT_THAT(text, HasSubstr(parallel::rank_and_place(last)));
    EXPECT_THAT(text, HasSubstr("/nowhere/libnccl.so.2"));
}

TEST_F(NcclFailureTest, ARankThatDoesNotConnectIsNamedByAll) {
    nccl.never_connects = is_last;
    auto const text = error_of([&] { NcclWorld(world, {.library = NCCL_DOUBLE, .seconds = 1.0}); });
    EXPECT_THAT(text, HasSubstr(named(world.rank()) + "NCCL start"));
    EXPECT_THAT(text, HasSubstr("not connected after 1 s"));
    if (!is_last) {
        EXPECT_THAT(text, HasSubstr(named(last) + "not connected"));
    }
}

TEST_F(NcclFailureTest, AnErrorOnOneRankEndsAll) {
    auto place =
        std::make_unique<NcclWorld>(world, NcclOptions{.library = NCCL_DOUBLE, .seconds = 60.0});
    auto& device = *place;
    auto const data = device.upload(ContractWorld::Bytes(64));
    device.ranks().all_reduce(data, DType::f32);
    device.stream.synchronize();
    if (is_last) nccl.calls_until_error = 0;
    auto const text = error_of_call(device, [&] { device.ranks().all_reduce(data, DType::f32); });
    EXPECT_THAT(text, HasSubstr(named(world.rank()) + "NCCL all_reduce (call 2)"));
    EXPECT_THAT(text, HasSubstr("remote process exited"));
    if (!is_last) {
        EXPECT_THAT(text, HasSubstr(named(last) + "failed: remote process exited"));
    }
    EXPECT_EQ(error_of([&] { device.ranks().all_reduce(data, DType::f32); }), text)
        << "what has ended stays so";
    place.reset();
    EXPECT_EQ(nccl.aborted, 1);
}

TEST_F(NcclFailureTest, ARankThatStopsCallingIsNamedByTheOthers) {
    auto device =
        std::make_unique<NcclWorld>(world, NcclOptions{.library = NCCL_DOUBLE, .seconds = 1.0});
    auto const data = device->upload(ContractWorld::Bytes(64));
    device->ranks().broadcast(data, 0);
    device->stream.synchronize();
    if (is_last) {
        // Busy elsewhere until the others have given up.
        std::this_thread::sleep_for(std::chrono::seconds(5));
        auto const text = error_of([&] {
            for (int look = 0; look < 1000; ++look) device->ranks().check(0.0);
        });
        EXPECT_THAT(text, HasSubstr("no end after 1 s"));
    } else {
        auto const text =
            error_of_call(*device, [&] { device->ranks().all_reduce(data, DType::f32); });
        EXPECT_THAT(text, HasSubstr(named(world.rank()) + "NCCL all_reduce (call 2)"));
        EXPECT_THAT(text, HasSubstr(named(last) + "does not answer"));
        for (int peer = 0; peer < last; ++peer) {
            if (peer == world.rank()) continue;
            EXPECT_THAT(text, ::testing::Not(HasSubstr(named(peer) + "does not answer")));
        }
    }
    device.reset();
    EXPECT_EQ(nccl.aborted, 1);
}

TEST_F(NcclFailureTest, ACallThatIsRefusedLeavesNoGroupOpen) {
    NcclWorld device(world, {.library = NCCL_DOUBLE, .seconds = 60.0});
    auto const data = device.upload(ContractWorld::Bytes(64));
    nccl.calls_until_refusal = 0;
    EXPECT_THAT(error_of([&] { device.ranks().all_reduce(data, DType::f32); }),
                HasSubstr("failed: ncclAllReduce: invalid usage"));
    EXPECT_EQ(nccl.open_groups, 0);
}

TEST_F(NcclFailureTest, AnAbortOutlivesTheRecordingsOfItsCalls) {
    auto device =
        std::make_unique<NcclWorld>(world, NcclOptions{.library = NCCL_DOUBLE, .seconds = 1.0});
    auto const data = device->upload(ContractWorld::Bytes(64));
    device->stream.synchronize();
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(device->stream.get(), cudaStreamCaptureModeThreadLocal);
    device->ranks().all_reduce(data, DType::f32);
    ASSERT_EQ(cudaStreamEndCapture(device->stream.get(), &graph), cudaSuccess);
    world.barrier();  // all have recorded
    EXPECT_THAT(error_of([&] { device->ranks().check(2.0); }), HasSubstr("no end after 1 s"));
    // As unwinding does it, after the error was thrown.
    cudaGraphDestroy(graph);
    device.reset();
    EXPECT_EQ(nccl.aborted, 1);
}

TEST_F(NcclFailureTest, RanksThatCallDifferentThingsAreFound) {
    NcclWorld device(world, {.library = NCCL_DOUBLE, .seconds = 60.0});
    auto const data = device.upload(ContractWorld::Bytes(64));
    auto const text = error_of_call(
        device, [&] { device.ranks().all_reduce(is_last ? data.first(32) : data, DType::f32); });
    EXPECT_THAT(text, HasSubstr("invalid usage"));
    EXPECT_THAT(text, HasSubstr("all_reduce 1 of 16 elements"));
    EXPECT_THAT(text, HasSubstr("all_reduce 1 of 8 elements"));
}

}  // namespace
}  // namespace tesserank::test
