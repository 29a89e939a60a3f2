#include "parallel/partition.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

namespace tesserank::parallel {
namespace {

using Counts = std::vector<std::size_t>;

TEST(Partition, GivesLargerSharesFirst) {
    EXPECT_EQ(Partition(25, 4).counts(), (Counts{7, 6, 6, 6}));
    EXPECT_EQ(Partition(2, 3).counts(), (Counts{1, 1, 0}));
    EXPECT_EQ(Partition(0, 2).counts(), (Counts{0, 0}));
    EXPECT_EQ(Partition(8, 1).of(0), (Range{0, 8}));
    EXPECT_EQ(Partition(25, 4).of(2), (Range{13, 6}));
    EXPECT_EQ(Partition(25, 4).counts(64), (Counts{448, 384, 384, 384}));
}

TEST(Partition, CoversEveryUnitOnceAndEvenly) {
    for (std::size_t units = 0; units <= 40; ++units) {
        for (int ranks = 1; ranks <= 12; ++ranks) {
            SCOPED_TRACE(std::to_string(units) + " units over " + std::to_string(ranks));
            Partition const cut(units, ranks);
            EXPECT_EQ(cut.units(), units);
            EXPECT_EQ(cut.ranks(), ranks);
            std::size_t next = 0;
            std::size_t previous = units;
            for (int rank = 0; rank < ranks; ++rank) {
                Range const range = cut.of(rank);
                EXPECT_EQ(range.begin, next);
                EXPECT_EQ(range.count, cut.count(rank));
                EXPECT_LE(range.count, previous);
                EXPECT_LE(cut.count(0), range.count + 1);
                next = range.end();
                previous = range.count;
            }
            EXPECT_EQ(next, units);
        }
    }
}

TEST(Partition, TakesGivenShares) {
    auto const cut = Partition::of_shares({3, 0, 9, 1});
    EXPECT_EQ(cut.units(), 13);
    EXPECT_EQ(cut.ranks(), 4);
    EXPECT_EQ(cut.of(1), (Range{3, 0}));
    EXPECT_EQ(cut.of(2), (Range{3, 9}));
    EXPECT_EQ(cut.counts(2), (Counts{6, 0, 18, 2}));
}

TEST(Partition, IsEqualWhenEveryRankHoldsTheSameUnits) {
    EXPECT_EQ(Partition(5, 2), Partition::of_shares({3, 2}));
    EXPECT_NE(Partition(5, 2), Partition::of_shares({2, 3}));
    EXPECT_NE(Partition(5, 2), Partition(5, 3));
}

TEST(Partition, RefusesRanksThatDoNotExist) {
    EXPECT_THROW(Partition(3, 0), kernels::LogicError);
    EXPECT_THROW(Partition::of_shares({}), kernels::LogicError);
    EXPECT_THROW(static_cast<void>(Partition(3, 2).of(2)), kernels::LogicError);
    EXPECT_THROW(static_cast<void>(Partition(3, 2).of(-1)), kernels::LogicError);
}

}  // namespace
}  // namespace tesserank::parallel
