#include "io/run_on_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace tesserank::io {
namespace {

TEST(RunOnThreads, DoesEachPieceOnce) {
    for (std::size_t const count : {0U, 1U, 2U, 1000U}) {
        std::vector<std::atomic<int>> calls(count);
        run_on_threads(count, [&](std::size_t i) { ++calls[i]; });
        for (auto const& times : calls) EXPECT_EQ(times, 1);
    }
}

TEST(RunOnThreads, ThrowsWhatAPieceThrewAfterAllHaveEnded) {
    std::atomic<int> calls = 0;
    auto const work = [&](std::size_t i) {
        ++calls;
        if (i == 3) throw std::runtime_error("three");
    };
    EXPECT_THROW(run_on_threads(50, work), std::runtime_error);
    EXPECT_EQ(calls, 50);
}

}  // namespace
}  // namespace tesserank::io
