#pragma once

#include "parallel/mpi_communicator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::test {

/// The memory of a vector, as collectives take it.
template <class T>
std::span<std::byte> bytes_of(std::vector<T>& values) {
    return std::as_writable_bytes(std::span(values));
}

/// Every rank fails if any rank fails, so that the printed result is the job's result.
/// Between collective calls use EXPECT, not ASSERT: a rank that returns early strands the others.
class MpiTest : public ::testing::Test {
  protected:
    void TearDown() override {
        auto const failed = world.all_sum(HasFailure() ? 1 : 0);
        if (!HasFailure() && failed > 0) ADD_FAILURE() << failed << " other rank(s) failed";
    }

    /// Whether all ranks hold rank 0's bits. Collective.
    bool same_on_all_ranks(std::span<std::byte const> mine) {
        std::vector<std::byte> first(mine.begin(), mine.end());
        world.broadcast(first, 0);
        return world.all_min(std::ranges::equal(first, mine) ? 1 : 0) == 1;
    }

    parallel::MpiCommunicator world = parallel::MpiCommunicator::world();
};

}  // namespace tesserank::test
