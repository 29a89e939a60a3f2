#include "parallel/mpi_communicator.hpp"

#include "kernels/error.hpp"
#include "parallel/mpi_check.hpp"
#include "parallel/partition.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::LogicError;
using Sizes = std::vector<std::size_t>;
using Bytes = std::vector<std::byte>;

std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

/// What rank `from` sends to rank `to`: any other pair sends something else.
Bytes letter(int from, int to, std::size_t size) {
    Bytes text(size);
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<std::byte>((index(from) * 37 + index(to) * 11 + i * 7) % 251);
    }
    return text;
}

void append(Bytes& all, Bytes const& piece) { all.insert(all.end(), piece.begin(), piece.end()); }

/// Runs with whole messages, and with messages of a few bytes: the path of long data.
class MpiCommunicatorTest : public test::MpiTest,
                            public ::testing::WithParamInterface<std::size_t> {
  protected:
    void expect_gathered(Sizes const& sizes, bool in_place) {
        Bytes wanted;
        for (int r = 0; r < ranks.size(); ++r) append(wanted, letter(r, 0, sizes[index(r)]));
        auto const mine = letter(ranks.rank(), 0, sizes[index(ranks.rank())]);
        Bytes all(wanted.size());
        if (in_place) {
            auto const begin = Partition::of_shares(sizes).of(ranks.rank()).begin;
            auto const place = std::span(all).subspan(begin, mine.size());
            std::ranges::copy(mine, place.begin());
            ranks.all_gather(place, sizes, all);
        } else {
            ranks.all_gather(mine, sizes, all);
        }
        EXPECT_EQ(all, wanted);
    }
    MpiCommunicator ranks = MpiCommunicator::world(GetParam());
};
INSTANTIATE_TEST_SUITE_P(MessageLimits, MpiCommunicatorTest,
                         ::testing::Values(MpiCommunicator::largest_message, 100, 7, 1),
                         ::testing::PrintToStringParamName());

TEST_P(MpiCommunicatorTest, AllGatherPutsPiecesInRankOrder) {
    for (auto const units : Sizes{0, 1, 2, 5, 12, 1009}) {
        auto const sizes = Partition(units, ranks.size()).counts(3);
        expect_gathered(sizes, false);
        expect_gathered(sizes, true);
    }
    Sizes sizes(index(ranks.size()), 0);
    sizes.back() = 19;
    expect_gathered(sizes, false);
    for (std::size_t r = 0; r < sizes.size(); ++r) sizes[r] = r % 2 == 0 ? 0 : 8 * r;
    expect_gathered(sizes, false);
}

TEST_P(MpiCommunicatorTest, BroadcastGivesRootsBytesToAll) {
    for (int root = 0; root < ranks.size(); ++root) {
        for (auto const size : Sizes{0, 1, 6, 7, 8, 1000}) {
            Bytes data = letter(ranks.rank(), root, size);
            ranks.broadcast(data, root);
            EXPECT_EQ(data, letter(root, root, size)) << "root " << root << ", size " << size;
        }
    }
}

TEST_P(MpiCommunicatorTest, AllToAllDeliversEachPieceToItsRank) {
    // Uneven, with nothing between some pairs, and in one round nothing at all.
    auto const size_between = [](int from, int to, std::size_t round) {
        return round * ((index(from) * 5 + index(to) * 3) % 7) * 9;
    };
    for (auto const round : Sizes{0, 1, 4}) {
        Sizes send_sizes, received_sizes;
        Bytes send, wanted;
        for (int peer = 0; peer < ranks.size(); ++peer) {
            send_sizes.push_back(size_between(ranks.rank(), peer, round));
            received_sizes.push_back(size_between(peer, ranks.rank(), round));
            append(send, letter(ranks.rank(), peer, send_sizes.back()));
            append(wanted, letter(peer, ranks.rank(), received_sizes.back()));
        }
        Bytes received(wanted.size());
        ranks.all_to_all(send, send_sizes, received, received_sizes);
        EXPECT_EQ(received, wanted) << "round " << round;
    }
}

TEST_P(MpiCommunicatorTest, TextOfAnyLengthReachesAllRanks) {
    int const root = ranks.size() - 1;
    std::string const long_text = std::string(50'000, 'x') + "\n\xC3\xA4 end";
    for (std::string const& text : {std::string(), std::string("one\ntwo"), long_text}) {
        EXPECT_EQ(ranks.broadcast_text(ranks.rank() == root ? text : "other words", root), text);
    }
}

using WorldTest = test::MpiTest;

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

TEST_F(WorldTest, RefusesSizesThatDoNotFit) {
    Bytes data(4), all(5);
    Sizes const none;
    EXPECT_THROW(world.broadcast(data, world.size()), LogicError);
    EXPECT_THROW(world.broadcast(data, -1), LogicError);
    EXPECT_THROW(world.all_gather(data, none, all), LogicError);
    EXPECT_THROW(world.all_gather(data, Sizes(index(world.size()), 100), all), LogicError);
    EXPECT_THROW(world.all_to_all(data, none, all, none), LogicError);
    EXPECT_THROW(MpiCommunicator::world(0), LogicError);
}

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
