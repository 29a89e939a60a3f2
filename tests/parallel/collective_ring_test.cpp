#include "parallel/collective_ring.hpp"

#include "kernels/phase.hpp"
#include "kernels/trace.hpp"
#include "parallel/whereabouts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>

namespace tesserank::parallel {
namespace {

using kernels::Phase;
using kernels::TraceRange;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = CollectiveCall::Kind;
using State = CollectiveRing::State;

CollectiveCall broadcast_of(std::size_t bytes) {
    return {.kind = Kind::broadcast, .bytes = bytes, .from = 1};
}

TEST(CollectiveRing, RemembersWhatWasCalledWhereAndWhetherItLasts) {
    CollectiveRing ring;
    EXPECT_EQ(ring.state(), State::outside);
    EXPECT_EQ(ring.snapshot().find(1), nullptr);
    {
        Phase const phase("decode");
        TraceRange const module("layers.3.mlp");
        TraceRange const layouts("Partial -> Replicated", TraceRange::Level::layout);
        ring.begin({.kind = Kind::all_reduce, .bytes = 32, .dtype = kernels::DType::bf16});
    }
    EXPECT_EQ(ring.state(), State::inside);
    auto const now = ring.snapshot();
    ASSERT_NE(now.find(1), nullptr);
    EXPECT_EQ(describe(*now.find(1)),
              "all-reduce of 32 bytes bf16 (call 1: decode, layers.3.mlp, Partial -> Replicated)");
    ring.end();
    EXPECT_EQ(ring.state(), State::outside);
}

TEST(CollectiveRing, ForgetsTheOldestCalls) {
    CollectiveRing ring;
    std::size_t const calls = 3 * CollectiveRing::capacity + 5;
    for (std::size_t i = 1; i <= calls; ++i) {
        ring.begin(broadcast_of(i));
        ring.end();
    }
    auto const now = ring.snapshot();
    EXPECT_EQ(now.calls, calls);
    std::size_t const oldest = calls - CollectiveRing::capacity + 1;
    EXPECT_EQ(now.find(oldest - 1), nullptr);
    EXPECT_EQ(now.find(calls + 1), nullptr);
    for (auto number = oldest; number <= calls; ++number) {
        ASSERT_NE(now.find(number), nullptr);
        EXPECT_EQ(now.find(number)->call.bytes, number);
    }
}

TEST(CollectiveRing, TakesCallsWithinACallForPartsOfIt) {
    CollectiveRing ring;
    ring.begin(broadcast_of(8));
    ring.begin(broadcast_of(4));
    ring.end();
    EXPECT_EQ(ring.state(), State::inside);
    ring.end();
    EXPECT_EQ(ring.state(), State::outside);
    EXPECT_EQ(ring.snapshot().calls, 1U);
}

TEST(CollectiveRing, KnowsWaitsForWhatIsQueued) {
    CollectiveRing ring;
    ring.wait_for_queued(0.5);
    EXPECT_EQ(ring.state(), State::queued);
    ring.wait_for_queued(0.0);
    EXPECT_EQ(ring.state(), State::outside);
}

TEST(CollectiveRing, CountsCallsAsProgressButNotTheirWaits) {
    CollectiveRing ring;
    auto const before = kernels::progress();
    ring.begin(broadcast_of(8));
    auto const inside = kernels::progress();
    EXPECT_GT(inside, before);
    ring.end();
    EXPECT_GT(kernels::progress(), inside);
    ring.wait_for_queued(0.001);
    auto const waiting = kernels::progress();
    ring.wait_for_queued(0.002);
    EXPECT_EQ(kernels::progress(), waiting);
}

TEST(CollectiveRing, IsOutsideAgainWhenTheCheckThrows) {
    CollectiveRing ring;
    ring.set_check(
        [](CollectiveRecord const& record) { throw std::runtime_error(describe(record)); });
    EXPECT_THROW(ring.begin(broadcast_of(8)), std::runtime_error);
    EXPECT_EQ(ring.state(), State::outside);
    ring.set_check({});
    ring.begin(broadcast_of(8));
    EXPECT_EQ(ring.snapshot().calls, 2U);
    ring.end();
}

/// Far below what the smallest collective takes: a note of some microseconds would show.
TEST(CollectiveRing, CostsLessThanAMicrosecondPerCall) {
    CollectiveRing ring;
    TraceRange const module("layers.3.mlp");
    constexpr int calls = 20'000;
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) {
        ring.begin(broadcast_of(8));
        ring.end();
    }
    std::chrono::duration<double, std::micro> const taken =
        std::chrono::steady_clock::now() - start;
    RecordProperty("nanoseconds", std::to_string(1e3 * taken.count() / calls));
    EXPECT_LT(taken.count() / calls, 1.0);
}

TEST(Whereabouts, AreThoseOfTheThrowInItsHandler) {
    Phase const outer("loading");
    try {
        Phase const phase("decode");
        std::string const name = "layers.7.attention";  // dies before the handler runs
        TraceRange const module(name.c_str());
        throw std::runtime_error("x");
    } catch (std::runtime_error const&) {
        EXPECT_THAT(rank_and_place(2), HasSubstr(", decode, layers.7.attention)"));
    }
    TraceRange const next("lm_head");
    Phase const after("prefill");
    EXPECT_THAT(rank_and_place(2), HasSubstr(", prefill, lm_head)"));
    EXPECT_THAT(rank_and_place(2), Not(HasSubstr("attention")));
    EXPECT_EQ(rank_and_place(2).rfind("rank 2 (", 0), 0U);
}

TEST(Whereabouts, SayHowMuchMemoryThereIsWhenItRunsOut) {
    EXPECT_THAT(text_of(std::bad_alloc()), HasSubstr("bytes in use"));
    EXPECT_EQ(text_of(std::runtime_error("words")), "words");
}

}  // namespace
}  // namespace tesserank::parallel
