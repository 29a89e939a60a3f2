#pragma once

#include <gtest/gtest.h>

#include "parallel/mpi_communicator.hpp"

namespace tesserank::test {

/// Every rank fails if any rank fails, so that the printed result is the job's result.
/// Between collective calls use EXPECT, not ASSERT: a rank that returns early strands the others.
class MpiTest : public ::testing::Test {
  protected:
    void TearDown() override {
        auto const failed = world.all_sum(HasFailure() ? 1 : 0);
        if (!HasFailure() && failed > 0) ADD_FAILURE() << failed << " other rank(s) failed";
    }
    parallel::MpiCommunicator world = parallel::MpiCommunicator::world();
};

}  // namespace tesserank::test
