#include "kernels/error.hpp"
#include "parallel/nccl.hpp"
#include "parallel/partition.hpp"
#include "tests/parallel/nccl_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

namespace tesserank::test {
namespace {

using kernels::DType;
using Bytes = ContractWorld::Bytes;
using Sizes = std::vector<std::size_t>;

parallel::NcclOptions options() { return {.library = NCCL_DOUBLE, .seconds = 20.0}; }

INSTANTIATE_TEST_SUITE_P(Nccl, CommunicatorContract,
                         ::testing::Values(ContractCase{"Double",
                                                        [](parallel::MpiCommunicator& world)
                                                            -> std::unique_ptr<ContractWorld> {
                                                            return std::make_unique<NcclWorld>(
                                                                world, options());
                                                        }}),
                         ::testing::PrintToStringParamName());

class NcclCommunicatorTest : public MpiTest {
  protected:
    std::span<std::byte> upload(std::vector<float> const& values) {
        Bytes bytes(values.size() * sizeof(float));
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return device.upload(bytes);
    }
    std::vector<float> read(std::span<std::byte const> data) {
        auto const bytes = device.read(data);
        std::vector<float> values(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    void zero(std::span<std::byte> data) {
        ASSERT_EQ(cudaMemsetAsync(data.data(), 0, data.size(), device.stream.get()), cudaSuccess);
    }
    /// What the double was asked for by `work`, when it is done.
    std::vector<NcclCall> calls_of(std::function<void()> const& work) {
        device.stream.synchronize();
        nccl.executed.clear();
        work();
        device.stream.synchronize();
        return std::exchange(nccl.executed, {});
    }
    static std::size_t bytes_of(std::vector<NcclCall> const& calls, std::string const& function) {
        std::size_t total = 0;
        for (auto const& call : calls) total += call.function == function ? call.bytes : 0;
        return total;
    }
    void TearDown() override {
        EXPECT_THAT(nccl.misuse, ::testing::IsEmpty());
        MpiTest::TearDown();
    }

    NcclDouble& nccl = nccl_double(NCCL_DOUBLE);
    NcclWorld device{world, options()};
    parallel::Communicator& ranks = device.ranks();
    std::size_t const size = static_cast<std::size_t>(world.size());
    std::size_t const own = static_cast<std::size_t>(world.rank());
};

TEST_F(NcclCommunicatorTest, TellsWhichLibraryItFound) {
    auto const found = parallel::find_nccl(NCCL_DOUBLE);
    EXPECT_EQ(found.version, "2.28.9");
    EXPECT_EQ(found.path, NCCL_DOUBLE);
    EXPECT_EQ(found.why_none, "");
    auto const none = parallel::find_nccl("/nowhere/libnccl.so.2");
    EXPECT_EQ(none.version, "");
    EXPECT_THAT(none.why_none, ::testing::HasSubstr("/nowhere/libnccl.so.2"));
}

TEST_F(NcclCommunicatorTest, CallsWaitInTheStreamWithTheWorkAroundThem) {
    EXPECT_TRUE(ranks.queued());
    auto const data = upload({1, 2, 3});
    device.stream.synchronize();
    nccl.executed.clear();
    ranks.all_reduce(data, DType::f32);
    EXPECT_THAT(nccl.executed, ::testing::IsEmpty()) << "the host waited for the call";
    zero(data.first(4));
    ranks.all_reduce(data, DType::f32);
    auto const p = static_cast<float>(size);
    EXPECT_EQ(read(data), (std::vector<float>{0, 2 * p * p, 3 * p * p}));
}

TEST_F(NcclCommunicatorTest, ARecordedCallIsDoneAtEachReplay) {
    auto const data = upload({1, 10});
    auto const stream = device.stream.get();
    ranks.all_reduce(data, DType::f32);
    device.stream.synchronize();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ranks.all_reduce(data, DType::f32);
    ranks.broadcast(data, 0);
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
    float factor = static_cast<float>(size);
    EXPECT_EQ(read(data), (std::vector<float>{factor, 10 * factor})) << "it was only recorded";
    for (int replay = 0; replay < 3; ++replay) {
        ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
        factor *= static_cast<float>(size);
        EXPECT_EQ(read(data), (std::vector<float>{factor, 10 * factor}));
    }
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
}

TEST_F(NcclCommunicatorTest, AsksForTheBytesThatAPlanCounts) {
    auto const data = upload(std::vector<float>(size * 6));
    auto const bytes = data.size();
    using Calls = std::vector<NcclCall>;
    auto const is = [](Calls const& calls, std::string const& function, std::size_t wanted) {
        return calls.size() == 1 && calls[0].function == function && calls[0].bytes == wanted;
    };
    Sizes const even(size, 24), even_counts(size, 6);
    auto const mine = device.allocate(24);
    EXPECT_TRUE(is(calls_of([&] { ranks.all_reduce(data, DType::f32); }), "all_reduce", bytes));
    EXPECT_TRUE(is(calls_of([&] { ranks.reduce(data, DType::f32, 0); }), "reduce", bytes));
    EXPECT_TRUE(is(calls_of([&] { ranks.broadcast(data, 0); }), "broadcast", bytes));
    EXPECT_TRUE(is(calls_of([&] { ranks.all_gather(mine, even, data); }), "all_gather", bytes));
    EXPECT_TRUE(is(calls_of([&] { ranks.reduce_scatter(data, DType::f32, even_counts, mine); }),
                   "reduce_scatter", bytes));
}

TEST_F(NcclCommunicatorTest, UnevenPiecesTravelOnce) {
    if (size == 1) GTEST_SKIP() << "one rank sends nothing";
    Sizes counts(size);
    std::iota(counts.begin(), counts.end(), 1);
    auto const cut = parallel::Partition::of_shares(counts);
    auto const bytes = cut.counts(4);
    auto const all = upload(std::vector<float>(cut.units()));
    auto const mine = all.subspan(cut.of(world.rank()).begin * 4, bytes[own]);
    auto const others = all.size() - mine.size();

    auto calls = calls_of([&] { ranks.all_gather(mine, bytes, all); });
    EXPECT_EQ(bytes_of(calls, "receive"), others);
    EXPECT_EQ(bytes_of(calls, "send"), mine.size() * (size - 1));

    auto const piece = device.allocate(mine.size());
    calls = calls_of([&] { ranks.reduce_scatter(all, DType::f32, counts, piece); });
    EXPECT_EQ(bytes_of(calls, "reduce"), all.size());

    auto const here = world.rank() == 0;
    calls = calls_of([&] { ranks.gather(mine, bytes, here ? all : std::span<std::byte>{}, 0); });
    EXPECT_EQ(bytes_of(calls, "receive"), here ? others : 0);
    EXPECT_EQ(bytes_of(calls, "send"), here ? 0 : mine.size());
}

TEST_F(NcclCommunicatorTest, EmptyCallsAskForNothing) {
    Sizes const none(size, 0);
    auto const calls = calls_of([&] {
        ranks.all_reduce({}, DType::f32);
        ranks.broadcast({}, 0);
        ranks.all_gather({}, none, {});
        ranks.reduce_scatter({}, DType::f32, none, {});
        ranks.all_to_all({}, none, {}, none);
    });
    EXPECT_THAT(calls, ::testing::IsEmpty());
}

TEST_F(NcclCommunicatorTest, RegistersMemoryAsLongAsItIsWanted) {
    auto const data = device.allocate(4096);
    auto registration = ranks.register_memory(data);
    EXPECT_EQ(nccl.registered, 1);
    registration.reset();
    EXPECT_EQ(nccl.registered, 0);

    auto symmetric = options();
    symmetric.symmetric_memory = true;
    NcclWorld other(world, symmetric);
    auto window = other.ranks().register_memory(other.allocate(4096));
    EXPECT_EQ(nccl.windows, 1);
    window.reset();
    EXPECT_EQ(nccl.windows, 0);
}

TEST_F(NcclCommunicatorTest, FinishesWhatIsQueuedBeforeItEnds) {
    nccl.finalized = nccl.destroyed = nccl.aborted = 0;
    std::span<std::byte> data = upload({1});
    {
        auto const second = parallel::make_nccl_communicator(world, device.stream.get(), options());
        second->all_reduce(data, DType::f32);
    }
    EXPECT_EQ(read(data), std::vector<float>{static_cast<float>(size)});
    EXPECT_EQ(nccl.finalized, 1);
    EXPECT_EQ(nccl.destroyed, 1);
    EXPECT_EQ(nccl.aborted, 0);
}

TEST_F(NcclCommunicatorTest, AbortsWhenAnExceptionEndsIt) {
    nccl.finalized = nccl.aborted = 0;
    auto const work = [&] {
        auto const second = parallel::make_nccl_communicator(world, device.stream.get(), options());
        throw kernels::SystemError("something else");
    };
    EXPECT_THROW(work(), kernels::SystemError);
    EXPECT_EQ(nccl.finalized, 0);
    EXPECT_EQ(nccl.aborted, 1);
}

}  // namespace
}  // namespace tesserank::test
