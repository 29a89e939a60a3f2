// What tests/support/pmpi_delay.cpp does, seen from outside; CMakeLists.txt says how it is started.

#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::DType;

class Delay : public test::MpiTest {
  protected:
    using Call = std::pair<std::string, std::function<void()>>;

    std::vector<Call> calls() {
        return {{"all_reduce", [this] { world.all_reduce(all, DType::f32); }},
                {"all_reduce of bf16", [this] { world.all_reduce(all, DType::bf16); }},
                {"reduce_scatter", [this] { world.reduce_scatter(all, DType::f32, floats, mine); }},
                {"reduce", [this] { world.reduce(all, DType::f32, last); }},
                {"all_gather", [this] { world.all_gather(mine, bytes, all); }},
                {"gather", [this] { world.gather(mine, bytes, all, 0); }},
                {"scatter", [this] { world.scatter(all, bytes, mine, last); }},
                {"broadcast", [this] { world.broadcast(all, last); }},
                {"all_to_all", [this] { world.all_to_all(all, bytes, others, bytes); }},
                {"all_min", [this] { world.all_min(1); }},
                {"barrier", [this] { world.barrier(); }}};
    }

    /// The shortest of some tries: a busy machine only adds time.
    double seconds_of(std::function<void()> const& call) {
        double shortest = std::numeric_limits<double>::infinity();
        for (int attempt = 0; attempt < 5; ++attempt) {
            auto const start = std::chrono::steady_clock::now();
            call();
            auto const end = std::chrono::steady_clock::now();
            shortest = std::min(shortest, std::chrono::duration<double>(end - start).count());
        }
        return shortest;
    }

    static constexpr std::size_t piece = 8;
    std::size_t const ranks = static_cast<std::size_t>(world.size());
    int const last = world.size() - 1;
    std::vector<std::byte> mine = std::vector<std::byte>(piece),
                           all = std::vector<std::byte>(piece * ranks), others = all;
    std::vector<std::size_t> const bytes = std::vector<std::size_t>(ranks, piece),
                                   floats = std::vector<std::size_t>(ranks, piece / sizeof(float));
};

TEST_F(Delay, IsAddedOnceToEachCollective) {
    auto const* const text = std::getenv("TESSERANK_DELAY_MICROSECONDS");
    ASSERT_NE(text, nullptr);
    double const delay = 1e-6 * std::atof(text);
    for (auto const& [name, call] : calls()) {
        double const seconds = seconds_of(call);
        EXPECT_GE(seconds, delay) << name;
        EXPECT_LT(seconds, 2 * delay) << name;
    }
}

TEST_F(Delay, IsAddedToAMessageOnBothSidesAlone) {
    double const delay = 1e-6 * std::atof(std::getenv("TESSERANK_DELAY_MICROSECONDS"));
    double const seconds = seconds_of([this] { world.transfer(mine, 0, last); });
    if (world.rank() == 0 || world.rank() == last) {
        EXPECT_GE(seconds, delay);
    } else {
        EXPECT_LT(seconds, delay);
    }
}

}  // namespace
}  // namespace tesserank::parallel
