#include "parallel/self_communicator.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::parallel {
namespace {

using Data = std::vector<float>;
using kernels::DType;

Data const values{1, 2, 3};
std::vector<std::size_t> const counts{3}, bytes{12};

std::span<std::byte> bytes_of(Data& data) { return std::as_writable_bytes(std::span(data)); }

TEST(SelfCommunicator, IsTheOnlyRank) {
    SelfCommunicator const alone;
    EXPECT_EQ(alone.rank(), 0);
    EXPECT_EQ(alone.size(), 1);
}

TEST(SelfCommunicator, LeavesSumsAndOwnDataAsTheyAre) {
    SelfCommunicator alone;
    Data data = values;
    alone.all_reduce(bytes_of(data), DType::f32);
    alone.reduce(bytes_of(data), DType::f32, 0);
    alone.broadcast(bytes_of(data), 0);
    alone.transfer(bytes_of(data), 0, 0);
    EXPECT_EQ(data, values);
}

TEST(SelfCommunicator, GivesTheOnlyPiece) {
    SelfCommunicator alone;
    Data data = values;
    for (int way = 0; way < 5; ++way) {
        Data result(3);
        auto const from = bytes_of(data), to = bytes_of(result);
        if (way == 0) alone.reduce_scatter(from, DType::f32, counts, to);
        if (way == 1) alone.all_gather(from, bytes, to);
        if (way == 2) alone.gather(from, bytes, to, 0);
        if (way == 3) alone.scatter(from, bytes, to, 0);
        if (way == 4) alone.all_to_all(from, bytes, to, bytes);
        EXPECT_EQ(result, values) << way;
    }
}

TEST(SelfCommunicator, TakesAPieceThatLiesInTheWhole) {
    SelfCommunicator alone;
    Data data = values;
    alone.all_gather(bytes_of(data), bytes, bytes_of(data));
    EXPECT_EQ(data, values);
}

TEST(SelfCommunicator, RefusesAPieceThatIsNotTheWhole) {
    SelfCommunicator alone;
    Data data = values, result(2);
    EXPECT_THROW(alone.all_gather(bytes_of(data), bytes, bytes_of(result)), kernels::LogicError);
}

TEST(SelfCommunicatorOnABackend, QueuesItsCopies) {
    auto const backend = kernels::make_reference_backend();
    SelfCommunicator self(*backend);
    EXPECT_TRUE(self.queued());
    EXPECT_FALSE(SelfCommunicator().queued());
    Data copy(3);
    self.all_gather(std::as_bytes(std::span(values)), bytes, bytes_of(copy));
    EXPECT_EQ(copy, values);
    self.broadcast(bytes_of(copy), 0);
    EXPECT_EQ(copy, values);
}

}  // namespace
}  // namespace tesserank::parallel
