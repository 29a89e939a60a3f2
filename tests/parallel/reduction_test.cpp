#include "kernels/dtype.hpp"
#include "kernels/error.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/partition.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::BFloat16;
using kernels::DType;
using kernels::Float16;
using test::bytes_of;
using Sizes = std::vector<std::size_t>;

/// Runs each test with whole messages and with messages of one and three elements, for each dtype.
template <class T>
class ReductionTest : public test::MpiTest {
  protected:
    static constexpr DType dtype = kernels::dtype_of<T>();
    static constexpr std::array<std::size_t, 3> limits{MpiCommunicator::largest_message, 3, 1};

    /// Integers whose sums over a few ranks are exact in f32 but not in bf16 or f16.
    static float term(int rank, std::size_t index) {
        auto mixed = (static_cast<std::uint64_t>(index) * 31 + static_cast<std::uint64_t>(rank)) *
                     0x9E3779B97F4A7C15ULL;
        mixed ^= mixed >> 29;
        auto const digits = static_cast<float>(static_cast<int>(mixed % 511) - 255);
        return std::ldexp(digits, static_cast<int>((mixed >> 20) % 5));
    }
    static std::vector<T> terms(int rank, std::size_t count) {
        std::vector<T> values(count);
        for (std::size_t i = 0; i < count; ++i) values[i] = kernels::from_float<T>(term(rank, i));
        return values;
    }
    /// The exact sum over the ranks, rounded once.
    std::vector<T> sums(std::size_t count) const {
        std::vector<T> values(count);
        for (std::size_t i = 0; i < count; ++i) {
            float total = 0.0F;
            for (int rank = 0; rank < world.size(); ++rank) total += term(rank, i);
            values[i] = kernels::from_float<T>(total);
        }
        return values;
    }
    void expect_scattered(MpiCommunicator& ranks, Sizes const& shares) {
        auto const cut = Partition::of_shares(shares);
        Range const own = cut.of(ranks.rank());
        auto data = terms(ranks.rank(), cut.units());
        std::vector<T> mine(own.count);
        ranks.reduce_scatter(bytes_of(data), dtype, shares, bytes_of(mine));
        auto const all = sums(cut.units());
        auto const first = all.begin() + static_cast<std::ptrdiff_t>(own.begin);
        EXPECT_TRUE(std::equal(mine.begin(), mine.end(), first));
    }
};
using DTypes = ::testing::Types<float, BFloat16, Float16>;
TYPED_TEST_SUITE(ReductionTest, DTypes);

TYPED_TEST(ReductionTest, AllReduceGivesTheSumRoundedOnce) {
    for (auto const limit : this->limits) {
        auto ranks = MpiCommunicator::world(limit);
        for (auto const count : Sizes{0, 1, 2, 3, 4, 7, 8, 64, 1009}) {
            SCOPED_TRACE("limit " + std::to_string(limit) + ", count " + std::to_string(count));
            auto values = this->terms(ranks.rank(), count);
            ranks.all_reduce(bytes_of(values), this->dtype);
            EXPECT_EQ(values, this->sums(count));
        }
    }
}

TYPED_TEST(ReductionTest, AllReduceTakesMoreThanOneStagingBuffer) {
    std::size_t const count = (std::size_t{1} << 20) + 5;
    auto values = this->terms(this->world.rank(), count);
    this->world.all_reduce(bytes_of(values), this->dtype);
    EXPECT_TRUE(values == this->sums(count));
}

TYPED_TEST(ReductionTest, AllReduceGivesTheSameBitsOnEveryRank) {
    constexpr std::array<float, 11> nasty{1e4F, 1.0F,  -1e4F,   0.1F,   3e-5F, -0.7F,
                                          6e4F, -6e4F, 1.0e-7F, 333.3F, -0.0F};
    auto const shift = static_cast<std::size_t>(this->world.rank()) * 5;
    for (auto const count : Sizes{1, 5, 100, 4099, 100003}) {
        SCOPED_TRACE(count);
        std::vector<TypeParam> values(count);
        for (std::size_t i = 0; i < count; ++i) {
            auto const wobble = 1.0F + static_cast<float>(i % 97) / 1024.0F;
            values[i] = kernels::from_float<TypeParam>(nasty[(i + shift) % nasty.size()] * wobble);
        }
        this->world.all_reduce(bytes_of(values), this->dtype);
        EXPECT_TRUE(this->same_on_all_ranks(bytes_of(values)));
    }
}

TYPED_TEST(ReductionTest, ReduceScatterGivesEachRankItsPieceOfTheSum) {
    auto const size = static_cast<std::size_t>(this->world.size());
    for (auto const limit : this->limits) {
        SCOPED_TRACE("limit " + std::to_string(limit));
        auto ranks = MpiCommunicator::world(limit);
        for (auto const units : Sizes{0, 1, 2, 3, 7, 16, 211}) {
            this->expect_scattered(ranks, Partition(units, ranks.size()).counts(3));
        }
        Sizes shares(size, 0);
        shares.back() = 17;
        this->expect_scattered(ranks, shares);
        for (std::size_t r = 0; r < size; ++r) shares[r] = r % 2 == 0 ? 0 : 5 * r;
        this->expect_scattered(ranks, shares);
    }
}

using AllReduceTest = test::MpiTest;

TEST_F(AllReduceTest, GivesTheSameBitsWhereTheOrderOfTheTermsMatters) {
    constexpr std::array<float, 5> cancelling{1e8F, 1.0F, -1e8F, 0.125F, 3.0e7F};
    for (auto const count : Sizes{1, 33, 2048, 70001}) {
        std::vector<float> values(count);
        for (std::size_t i = 0; i < count; ++i) {
            values[i] = cancelling[(i + static_cast<std::size_t>(world.rank())) % 5];
        }
        world.all_reduce(bytes_of(values), DType::f32);
        EXPECT_TRUE(same_on_all_ranks(bytes_of(values))) << count;
    }
}

TEST_F(AllReduceTest, KeepsInfinityAndNan) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> values{world.rank() == 0 ? infinity : 1.0F,
                              world.rank() == world.size() - 1 ? std::nanf("") : 1.0F};
    world.all_reduce(bytes_of(values), DType::f32);
    EXPECT_EQ(values[0], infinity);
    EXPECT_TRUE(std::isnan(values[1]));
}

TEST_F(AllReduceTest, RefusesBrokenElementsAndWrongCounts) {
    std::vector<std::byte> data(6), mine(4);
    EXPECT_THROW(world.all_reduce(data, DType::f32), kernels::LogicError);
    Sizes counts(static_cast<std::size_t>(world.size()), 1);
    counts[0] = 100;
    EXPECT_THROW(world.reduce_scatter(data, DType::f32, counts, mine), kernels::LogicError);
    counts.push_back(1);
    EXPECT_THROW(world.reduce_scatter(data, DType::f32, counts, mine), kernels::LogicError);
}

}  // namespace
}  // namespace tesserank::parallel
