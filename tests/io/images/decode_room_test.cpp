#include "io/images/decode_room.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

/// Until a thread waits for room, or has got some though it should not: `got` says that.
void wait_until_one_waits(DecodeRoom const& room, std::atomic<bool> const& got) {
    while (room.waiting() == 0 && !got) std::this_thread::yield();
}

TEST(DecodeRoom, IsNeverExceededByWhatFits) {
    DecodeRoom room(100);
    std::atomic<std::size_t> taken = 0, most = 0;
    {
        std::vector<std::jthread> threads;
        threads.reserve(4);
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int i = 0; i < 200; ++i) {
                    auto const share = room.take(40);
                    std::size_t const now = taken += 40;
                    for (auto seen = most.load(); seen < now;)
                        most.compare_exchange_weak(seen, now);
                    std::this_thread::yield();
                    taken -= 40;
                }
            });
        }
    }
    EXPECT_LE(most, 80U);
    EXPECT_EQ(taken, 0U);
}

TEST(DecodeRoom, WhatIsLargerThanAllOfItWaitsUntilItIsAlone) {
    DecodeRoom room(100);
    std::optional<DecodeRoom::Share> small = room.take(1);
    std::atomic<bool> alone = false, may_end = false;
    std::jthread const large([&] {
        auto const share = room.take(1000);
        alone = true;
        alone.notify_all();
        may_end.wait(false);
    });
    wait_until_one_waits(room, alone);
    EXPECT_FALSE(alone);
    small.reset();
    alone.wait(false);
    std::atomic<bool> late = false;
    std::jthread const next([&] {
        auto const share = room.take(1);
        late = true;
    });
    wait_until_one_waits(room, late);
    EXPECT_FALSE(late);
    may_end = true;
    may_end.notify_all();
}

TEST(DecodeRoom, AShareThatMovesIsGivenBackOnce) {
    DecodeRoom room(100);
    {
        DecodeRoom::Share first = room.take(60);
        DecodeRoom::Share second;
        second = std::move(first);
        DecodeRoom::Share const third(std::move(second));
        auto const rest = room.take(40);
    }
    // A share that was given back twice would leave more than there is; none at all would wait.
    auto const all = room.take(100);
}

}  // namespace
}  // namespace tesserank::io
