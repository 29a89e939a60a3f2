#include "kernels/error.hpp"
#include "parallel/agreed.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::DType;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CollectiveCheckTest : public test::MpiTest {
  protected:
    CollectiveCheckTest() { world.check_collectives(); }

    /// What every rank learns when the ranks make these calls; the ranks are in step afterwards.
    std::string error_of(std::function<void()> const& calls) {
        std::string message;
        try {
            calls();
            ADD_FAILURE() << "no rank has noticed";
        } catch (kernels::LogicError const& error) {
            EXPECT_NE(dynamic_cast<Agreed const*>(&error), nullptr);
            message = error.what();
        }
        EXPECT_EQ(world.all_sum(1), world.size());
        EXPECT_TRUE(same_on_all_ranks(std::as_bytes(std::span(message)))) << message;
        return message;
    }
    bool is_last() const { return world.rank() == world.size() - 1; }
    std::string last() const { return "rank " + std::to_string(world.size() - 1) + ": "; }

    std::vector<float> values_ = std::vector<float>(12, 1.0F);
    std::span<std::byte> data_ = std::as_writable_bytes(std::span(values_));
};

TEST_F(CollectiveCheckTest, LetsCallsPassThatFit) {
    auto const ranks = static_cast<std::size_t>(world.size());
    world.all_reduce(data_, DType::f32);
    EXPECT_EQ(values_[0], static_cast<float>(ranks));
    world.broadcast(data_.first(8), 0);
    // Uneven, and nothing on some ranks.
    std::vector<std::size_t> bytes(ranks, 0);
    bytes.back() = 7;
    std::vector<std::byte> all(7);
    auto const own = is_last() ? std::span(all) : std::span(all).first(0);
    world.all_gather(own, bytes, all);
    world.gather(own, bytes, world.rank() == 0 ? std::span(all) : std::span(all).first(0), 0);
    // Ranks that take no part have no data for it.
    bool const takes_part = world.rank() == 0 || is_last();
    world.transfer(takes_part ? data_ : data_.first(0), 0, world.size() - 1);
    world.barrier();
}

TEST_F(CollectiveCheckTest, TellsAnotherSize) {
    auto const message =
        error_of([&] { world.all_reduce(is_last() ? data_.first(16) : data_, DType::f32); });
    EXPECT_THAT(message, AllOf(HasSubstr("rank 0: all-reduce of 48 bytes f32 (call "),
                               HasSubstr(last() + "all-reduce of 16 bytes f32 (call ")));
}

TEST_F(CollectiveCheckTest, TellsAnotherTypeRootOrCut) {
    EXPECT_THAT(error_of([&] { world.all_reduce(data_, is_last() ? DType::bf16 : DType::f32); }),
                AllOf(HasSubstr("48 bytes f32"), HasSubstr("48 bytes bf16")));
    EXPECT_THAT(
        error_of([&] { world.broadcast(data_, is_last() ? 1 : 0); }),
        AllOf(HasSubstr("from rank 0"), HasSubstr(last() + "broadcast of 48 bytes from rank 1")));
    std::vector<std::size_t> bytes(static_cast<std::size_t>(world.size()), 4);
    if (is_last()) {
        bytes[0] = 3;
        bytes[1] = 5;
    }
    std::size_t const own = bytes[static_cast<std::size_t>(world.rank())];
    auto const total = 4 * bytes.size();
    std::vector<std::byte> all(total), mine(own);
    EXPECT_THAT(error_of([&] { world.all_gather(mine, bytes, all); }), HasSubstr("all-gather"));
}

TEST_F(CollectiveCheckTest, TellsAnotherKindAndOrder) {
    auto const message = error_of([&] {
        if (is_last()) {
            world.broadcast(data_, 0);
            world.all_reduce(data_, DType::f32);
        } else {
            world.all_reduce(data_, DType::f32);
            world.broadcast(data_, 0);
        }
    });
    EXPECT_THAT(message,
                AllOf(HasSubstr("rank 0: all-reduce"), HasSubstr(last() + "broadcast of 48")));
}

TEST_F(CollectiveCheckTest, TellsATransferWhoseEndsDiffer) {
    auto const message =
        error_of([&] { world.transfer(is_last() ? data_.first(4) : data_, 0, world.size() - 1); });
    EXPECT_THAT(message, AllOf(HasSubstr("rank 0: transfer of 48"),
                               HasSubstr(last() + "transfer of 4 bytes from rank 0 to rank ")));
}

}  // namespace
}  // namespace tesserank::parallel
