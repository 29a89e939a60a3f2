#include "parallel/mpi_communicator.hpp"

#include "kernels/error.hpp"
#include "parallel/mpi_check.hpp"
#include "tests/parallel/communicator_contract.hpp"
#include "tests/parallel/host_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::LogicError;
using Sizes = std::vector<std::size_t>;
using Bytes = std::vector<std::byte>;

std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

/// With messages of at most so many bytes: the path of long data.
template <std::size_t limit>
std::unique_ptr<test::ContractWorld> make_world(MpiCommunicator& /*world*/) {
    return std::make_unique<test::HostWorld>(MpiCommunicator::world(limit));
}

}  // namespace
}  // namespace tesserank::parallel

namespace tesserank::test {

using parallel::MpiCommunicator;

INSTANTIATE_TEST_SUITE_P(
    Mpi, CommunicatorContract,
    ::testing::Values(ContractCase{"Whole", parallel::make_world<MpiCommunicator::largest_message>},
                      ContractCase{"By100", parallel::make_world<100>},
                      ContractCase{"By7", parallel::make_world<7>},
                      ContractCase{"By1", parallel::make_world<1>}),
    ::testing::PrintToStringParamName());

}  // namespace tesserank::test

namespace tesserank::parallel {
namespace {

using WorldTest = test::MpiTest;

TEST_F(WorldTest, TextOfAnyLengthReachesAllRanks) {
    std::string const long_text = std::string(50'000, 'x') + "\n\xC3\xA4 end";
    for (auto const limit : Sizes{MpiCommunicator::largest_message, 7}) {
        auto ranks = MpiCommunicator::world(limit);
        int const root = ranks.size() - 1;
        for (std::string const& text : {std::string(), std::string("one\ntwo"), long_text}) {
            auto const mine = ranks.rank() == root ? text : "other words";
            EXPECT_EQ(ranks.broadcast_text(mine, root), text);
        }
    }
}

TEST_F(WorldTest, CountsItsRanks) {
    EXPECT_EQ(world.all_sum(1), world.size());
    EXPECT_EQ(world.all_sum(world.rank()), world.size() * (world.size() - 1) / 2);
    EXPECT_EQ(world.ranks_on_node(), world.size()) << "the tests run on one node";
    EXPECT_EQ(world.nodes(), std::vector<int>(static_cast<std::size_t>(world.size()), 0));
    world.barrier();
}

TEST_F(WorldTest, FindsTheSmallestValue) {
    EXPECT_EQ(world.all_min(10 - world.rank()), 11 - world.size());
    EXPECT_EQ(world.all_min(-(1LL << 40) * (world.rank() + 1)), -(1LL << 40) * world.size());
}

TEST_F(WorldTest, MovesWithoutClosing) {
    auto first = MpiCommunicator::world();
    MpiCommunicator second = std::move(first);
    EXPECT_EQ(second.all_sum(1), world.size());
    first = MpiCommunicator::world();
    EXPECT_EQ(first.all_sum(1), world.size());
}

TEST_F(WorldTest, RefusesALimitOfNothing) { EXPECT_THROW(MpiCommunicator::world(0), LogicError); }

TEST_F(WorldTest, ErrorsCarryMpisOwnText) {
    EXPECT_NO_THROW(check_mpi(MPI_SUCCESS, "MPI_Bcast"));
    try {
        check_mpi(MPI_ERR_TRUNCATE, "MPI_Recv");
        ADD_FAILURE() << "no exception";
    } catch (kernels::SystemError const& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr("MPI_Recv failed"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("truncated"));
    }
}

TEST_F(WorldTest, AFailedCallThrows) {
    if (world.size() == 1) GTEST_SKIP() << "one rank calls nothing";
    // Rank 0 sends more than rank 1 has room for. Few bytes: Open MPI 4.1 writes beyond the end
    // when a long message is truncated.
    auto other = MpiCommunicator::world();
    Bytes data(world.rank() == 0 ? 200 : 100), nothing;
    Sizes send_sizes(index(world.size()), 0), received_sizes(index(world.size()), 0);
    if (world.rank() == 0) send_sizes[1] = data.size();
    if (world.rank() == 1) received_sizes[0] = data.size();
    if (world.rank() == 1) {
        EXPECT_THROW(other.all_to_all(nothing, send_sizes, data, received_sizes),
                     kernels::SystemError);
    } else {
        other.all_to_all(world.rank() == 0 ? data : nothing, send_sizes, nothing, received_sizes);
    }
}

}  // namespace
}  // namespace tesserank::parallel
