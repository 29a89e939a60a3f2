#include "app/stop_watcher.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>

namespace tesserank::app {
namespace {

using namespace std::chrono_literals;

/// A watcher whose job "ends" by telling the test, and the time that this took.
class Watched {
  public:
    explicit Watched(StopTerms terms, bool decides = true)
        : watcher_{terms, decides, [this](std::string const& reason) {
                       reason_ = reason;
                       ended_.test_and_set();
                       ended_.notify_all();
                   }} {}

    StopWatcher& operator*() { return watcher_; }
    StopWatcher* operator->() { return &watcher_; }
    bool ended_within(std::chrono::milliseconds time) const {
        auto const end = std::chrono::steady_clock::now() + time;
        while (!ended_.test() && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(1ms);
        }
        return ended_.test();
    }
    /// After ended_within().
    std::string const& reason() const { return reason_; }

  private:
    std::string reason_;
    std::atomic_flag ended_;
    StopWatcher watcher_;
};

/// Waits until a signal to this process has been noticed.
void signal_between_batches(Watched& watched, int number) {
    watched->loaded();
    std::raise(number);
    for (int i = 0; i < 1000 && !watched->should_stop(); ++i) std::this_thread::sleep_for(1ms);
}

/// Whether the descriptor becomes readable within the time.
bool is_told(Watched& watched, std::chrono::milliseconds time) {
    pollfd waiting{.fd = watched->stop_descriptor(), .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, static_cast<int>(time.count())) == 1;
}

SteadyTime in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// Whether memory below this thread's stack pointer, which some kernels use, is as it was when
/// `done` is set. Calls nothing, as that would use it too.
[[gnu::noinline, gnu::no_sanitize_address]] bool keeps_what_is_below_the_stack(
    std::atomic<bool> const& done) {
    constexpr std::size_t from = 512, bytes = 8192;
    auto volatile* const below = static_cast<char*>(__builtin_frame_address(0)) - from - bytes;
    for (std::size_t i = 0; i < bytes; ++i) below[i] = 1;
    while (!done) {
    }
    bool kept = true;
    for (std::size_t i = 0; i < bytes; ++i) kept = kept && below[i] == 1;
    return kept;
}

TEST(StopWatcher, HandlersLeaveAloneWhatIsBelowTheStackPointer) {
    Watched watched({});
    std::atomic<bool> done{false};
    std::thread sender([&, computing = pthread_self()] {
        std::this_thread::sleep_for(10ms);
        pthread_kill(computing, SIGUSR1);
        std::this_thread::sleep_for(50ms);
        done = true;
    });
    EXPECT_TRUE(keeps_what_is_below_the_stack(done));
    sender.join();
    EXPECT_EQ(watched->should_stop(), "SIGUSR1");
}

TEST(StopWatcher, LetsARunGoOnThatNothingStops) {
    Watched watched({});
    EXPECT_EQ(watched->should_stop(), std::nullopt);
    watched->batch_begins();
    watched->batch_ended();
    EXPECT_EQ(watched->should_stop(), std::nullopt);
    EXPECT_FALSE(watched.ended_within(10ms));
}

TEST(StopWatcher, EachSignalStopsBetweenBatches) {
    for (auto const& [number, name] : {std::pair(SIGTERM, "SIGTERM"), std::pair(SIGINT, "SIGINT"),
                                       std::pair(SIGUSR1, "SIGUSR1")}) {
        Watched watched({});
        EXPECT_EQ(watched->should_stop(), std::nullopt);
        EXPECT_FALSE(is_told(watched, 0ms));
        signal_between_batches(watched, number);
        EXPECT_EQ(watched->should_stop(), name);
        EXPECT_TRUE(is_told(watched, 5s));
        EXPECT_FALSE(watched.ended_within(10ms));
    }
}

TEST(StopWatcher, ASignalWhileLoadingEndsAtOnce) {
    Watched watched({.grace = 1h});
    std::raise(SIGTERM);
    EXPECT_TRUE(watched.ended_within(5s));
    EXPECT_EQ(watched.reason(), "SIGTERM");
}

TEST(StopWatcher, ABatchMayEndWithinTheGraceOfASignal) {
    Watched watched({.grace = 1h});
    watched->batch_begins();
    std::raise(SIGTERM);
    EXPECT_FALSE(watched.ended_within(50ms));
    EXPECT_FALSE(is_told(watched, 0ms));
    watched->batch_ended();
    EXPECT_EQ(watched->should_stop(), "SIGTERM");
    EXPECT_TRUE(is_told(watched, 5s));
}

TEST(StopWatcher, ABatchIsDroppedWhenTheGraceIsOver) {
    Watched watched({.grace = 30ms});
    watched->batch_begins();
    std::raise(SIGTERM);
    EXPECT_TRUE(watched.ended_within(5s));
}

TEST(StopWatcher, ABatchThatWillNotBeOverInTimeIsDroppedAtOnce) {
    Watched watched({.grace = 2s});
    watched->batch_begins();
    std::this_thread::sleep_for(2100ms);
    watched->batch_ended();
    EXPECT_EQ(watched->should_stop(), std::nullopt);
    watched->batch_begins();
    auto const start = std::chrono::steady_clock::now();
    std::raise(SIGTERM);
    EXPECT_TRUE(watched.ended_within(5s));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 1500ms);
}

TEST(StopWatcher, NoBatchIsBegunThatWillNotBeOverInTime) {
    Watched watched({.end = in(10s), .margin = 9980ms});
    watched->loaded();
    EXPECT_EQ(watched->should_stop(), std::nullopt);
    watched->batch_begins();
    std::this_thread::sleep_for(15ms);
    watched->batch_ended();
    EXPECT_EQ(watched->should_stop(), "the end of its time");
}

TEST(StopWatcher, WhoWaitsIsToldAtTheEndOfTime) {
    Watched watched({.end = in(1050ms), .margin = 1s});
    watched->loaded();
    EXPECT_FALSE(is_told(watched, 0ms));
    EXPECT_TRUE(is_told(watched, 5s));
    EXPECT_EQ(watched->should_stop(), "the end of its time");
    EXPECT_FALSE(watched.ended_within(10ms));
}

TEST(StopWatcher, ABatchIsDroppedAtTheEndOfTime) {
    Watched watched({.end = in(1030ms), .margin = 1s});
    watched->loaded();
    watched->batch_begins();
    EXPECT_TRUE(watched.ended_within(5s));
    EXPECT_EQ(watched.reason(), "the end of its time");
}

TEST(StopWatcher, ASecondSignalEndsOnEveryRank) {
    for (bool const decides : {true, false}) {
        Watched watched({.grace = 1h, .apart = 0ms}, decides);
        signal_between_batches(watched, SIGUSR1);
        watched->batch_begins();
        EXPECT_FALSE(watched.ended_within(20ms));
        std::raise(SIGUSR1);
        EXPECT_TRUE(watched.ended_within(5s));
        EXPECT_EQ(watched.reason(), "a second SIGUSR1");
    }
}

TEST(StopWatcher, OneRequestOnTwoWaysIsOneSignal) {
    Watched watched({.grace = 1h});
    signal_between_batches(watched, SIGTERM);
    watched->batch_begins();
    std::raise(SIGUSR1);
    EXPECT_FALSE(watched.ended_within(50ms));
}

TEST(StopWatcher, OnlyTheDecidingRankDropsABatch) {
    Watched watched({.grace = 1ms}, false);
    watched->batch_begins();
    std::raise(SIGTERM);
    EXPECT_FALSE(watched.ended_within(50ms));
    watched->batch_ended();
    EXPECT_EQ(watched->should_stop(), "SIGTERM");
}

}  // namespace
}  // namespace tesserank::app
