#include "kernels/backend.hpp"
#include "kernels/error.hpp"
#include "parallel/redistribute.hpp"
#include "tests/parallel/redistribute_world.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::BFloat16;
using kernels::DType;
using kernels::LogicError;
using kernels::Tensor;
using kernels::TensorView;

/// A tensor in host memory, where tests look at it.
struct HostTensor {
    HostTensor(std::size_t rows, std::size_t cols, DType dtype)
        : bytes(rows * cols * size_of(dtype)), view{{bytes.data(), dtype, rows, cols, cols}} {}
    float get(std::size_t t, std::size_t h) const {
        if (view.dtype == DType::f32) return view.row<float>(t)[h];
        return to_float(view.row<BFloat16>(t)[h]);
    }
    void set(std::size_t t, std::size_t h, float value) {
        if (view.dtype == DType::f32) {
            view.row<float>(t)[h] = value;
        } else {
            view.row<BFloat16>(t)[h] = kernels::from_float<BFloat16>(value);
        }
    }

    std::vector<std::byte> bytes;
    TensorView view;
};

/// The activation [T, H] that all layouts of these tests stand for; exact in bf16.
float whole_at(std::size_t t, std::size_t h) { return static_cast<float>((t * 31 + h * 7) % 200); }

struct Shape {
    std::size_t rows, cols;
    DType dtype;
};
std::ostream& operator<<(std::ostream& out, Shape const& shape) {
    return out << shape.rows << "x" << shape.cols << "_" << name_of(shape.dtype);
}

class RedistributeFixture : public test::MpiTest {
  protected:
    TensorView make(std::size_t rows, std::size_t cols, Shape const& shape) {
        owned.push_back(kernels::make_tensor(backend, shape.dtype, rows, cols));
        return owned.back().view;
    }
    TensorView upload(HostTensor const& host) {
        owned.push_back(
            kernels::make_tensor(backend, host.view.dtype, host.view.rows, host.view.cols));
        backend.copy_from_host(host.bytes, owned.back().view.data);
        return owned.back().view;
    }
    HostTensor download(TensorView const& x) {
        HostTensor host(x.rows, x.cols, x.dtype);
        std::size_t const width = size_of(x.dtype);
        for (std::size_t t = 0; t < x.rows; ++t) {
            backend.copy_to_host(x.data + t * x.stride * width,
                                 std::span(host.bytes).subspan(t * x.cols * width, x.cols * width));
        }
        return host;
    }
    /// The part of the whole that lies at these rows and columns.
    TensorView part(Range rows, Range cols, Shape const& shape) {
        HostTensor x(rows.count, cols.count, shape.dtype);
        for (std::size_t t = 0; t < rows.count; ++t) {
            for (std::size_t h = 0; h < cols.count; ++h) {
                x.set(t, h, whole_at(rows.begin + t, cols.begin + h));
            }
        }
        return upload(x);
    }
    void expect_part(TensorView const& x, Range rows, Range cols) {
        ASSERT_EQ(x.rows, rows.count);
        ASSERT_EQ(x.cols, cols.count);
        auto const found = download(x);
        for (std::size_t t = 0; t < rows.count; ++t) {
            for (std::size_t h = 0; h < cols.count; ++h) {
                ASSERT_EQ(found.get(t, h), whole_at(rows.begin + t, cols.begin + h))
                    << "t=" << t << " h=" << h;
            }
        }
    }
    /// Terms whose sum over the ranks is the whole: rank r adds r + 1, the last takes all off.
    Activation<Partial> partial(Shape const& shape) {
        bool const last = world.rank() == world.size() - 1;
        int const others = world.size() * (world.size() - 1) / 2;
        HostTensor x(shape.rows, shape.cols, shape.dtype);
        for (std::size_t t = 0; t < shape.rows; ++t) {
            for (std::size_t h = 0; h < shape.cols; ++h) {
                auto const extra = static_cast<float>(last ? -others : world.rank() + 1);
                x.set(t, h, (last ? whole_at(t, h) : 0.0F) + extra);
            }
        }
        return {upload(x), {}};
    }
    Activation<Replicated> replicated(Shape const& shape) {
        return {part({0, shape.rows}, {0, shape.cols}, shape), {}};
    }
    Activation<BatchSharded> batch_sharded(Partition const& cut, Shape const& shape) {
        return {part(cut.of(world.rank()), {0, shape.cols}, shape), {cut}};
    }
    Activation<HiddenSharded> hidden_sharded(Partition const& cut, Shape const& shape) {
        return {part({0, shape.rows}, cut.of(world.rank()), shape), {cut}};
    }
    /// The even cut, and one that gives the last rank two thirds and the first ranks what is left.
    std::vector<Partition> cuts_of(std::size_t units) const {
        std::size_t const most = world.size() == 1 ? units : units - units / 3;
        auto shares = Partition(units - most, world.size()).counts();
        shares.back() += most;
        return {Partition(units, world.size()), Partition::of_shares(shares)};
    }

    /// Redistributes into memory of its own.
    AnyActivation redistribute(AnyActivation const& from, Layout const& to, std::size_t rows,
                               std::size_t cols) {
        auto const dtype = local_of(from).dtype;
        auto const make_whole = [&] {
            owned.push_back(kernels::make_tensor(backend, dtype, rows, cols));
            return owned.back().view;
        };
        auto const whole = make_whole();
        return redistributor(from, to, {.whole = whole, .pieces = make_whole()});
    }

    std::unique_ptr<test::RedistributeWorld> device = test::make_redistribute_world(world);
    kernels::Backend& backend = device->backend();
    Redistributor redistributor{backend, device->ranks()};
    std::vector<Tensor> owned;
};

class RedistributeTest : public RedistributeFixture, public ::testing::WithParamInterface<Shape> {
  protected:
    AnyActivation turn(AnyActivation const& from, Layout const& to) {
        return redistribute(from, to, shape.rows, shape.cols);
    }
    template <class L>
    static TensorView local(AnyActivation const& x) {
        return std::get<Activation<L>>(x).local;
    }
    /// The whole on one rank, nothing elsewhere.
    Activation<OnRank> on_rank(int rank) {
        std::size_t const here = world.rank() == rank ? shape.rows : 0;
        return {part({0, here}, cols, shape), {rank, shape.rows}};
    }
    void expect_on_rank(AnyActivation const& x, int rank) {
        auto const& found = std::get<Activation<OnRank>>(x);
        EXPECT_EQ(found.layout.rank, rank);
        EXPECT_EQ(found.layout.rows, shape.rows);
        std::size_t const here = world.rank() == rank ? shape.rows : 0;
        EXPECT_EQ(found.local.rows, here);
        if (here > 0) expect_part(found.local, {0, here}, cols);
    }
    std::vector<int> ranks() const {
        std::vector<int> all(static_cast<std::size_t>(world.size()));
        std::iota(all.begin(), all.end(), 0);
        return all;
    }

    Shape const shape = GetParam();
    Range const rows{0, shape.rows}, cols{0, shape.cols};
};
INSTANTIATE_TEST_SUITE_P(Shapes, RedistributeTest,
                         ::testing::Values(Shape{1, 8, DType::f32}, Shape{7, 13, DType::f32},
                                           Shape{2, 3, DType::bf16}, Shape{64, 129, DType::bf16},
                                           Shape{2, 1, DType::f32}, Shape{0, 5, DType::f32},
                                           Shape{5, 0, DType::f32}),
                         ::testing::PrintToStringParamName());

TEST_P(RedistributeTest, PartialToReplicatedAddsTheRanksInPlace) {
    auto const from = partial(shape);
    auto const to = turn(from, Replicated{});
    expect_part(local<Replicated>(to), rows, cols);
    EXPECT_EQ(local<Replicated>(to).data, from.local.data);
}

TEST_P(RedistributeTest, PartialToBatchShardedGivesTheRowsOfTheSum) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = turn(partial(shape), BatchSharded{cut});
        expect_part(local<BatchSharded>(to), cut.of(world.rank()), cols);
    }
}

TEST_P(RedistributeTest, PartialToOneRankAddsThere) {
    for (int const rank : ranks()) expect_on_rank(turn(partial(shape), OnRank{rank}), rank);
}

TEST_P(RedistributeTest, BatchShardedToReplicatedStacksTheRows) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = turn(batch_sharded(cut, shape), Replicated{});
        expect_part(local<Replicated>(to), rows, cols);
    }
}

TEST_P(RedistributeTest, RowsAtTheirPlaceAreStackedInPlace) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const whole = make(shape.rows, shape.cols, shape);
        auto const own = cut.of(world.rank());
        auto const mine = whole.rows_from(own.begin, own.count);
        backend.copy(batch_sharded(cut, shape).local, mine);
        auto const to =
            redistributor(Activation<BatchSharded>{mine, {cut}}, Replicated{}, {.whole = whole});
        expect_part(local<Replicated>(to), rows, cols);
        EXPECT_EQ(local<Replicated>(to).data, whole.data);
    }
}

TEST_P(RedistributeTest, BatchShardedToOneRankAndBack) {
    for (auto const& cut : cuts_of(shape.rows)) {
        for (int const rank : ranks()) {
            auto const there = turn(batch_sharded(cut, shape), OnRank{rank});
            expect_on_rank(there, rank);
            auto const back = turn(there, BatchSharded{cut});
            expect_part(local<BatchSharded>(back), cut.of(world.rank()), cols);
        }
    }
}

TEST_P(RedistributeTest, HiddenShardedToReplicatedInterleavesTheColumns) {
    for (auto const& cut : cuts_of(shape.cols)) {
        auto const to = turn(hidden_sharded(cut, shape), Replicated{});
        expect_part(local<Replicated>(to), rows, cols);
    }
}

TEST_P(RedistributeTest, HiddenShardedToOneRankInterleavesThemThere) {
    for (auto const& cut : cuts_of(shape.cols)) {
        for (int const rank : ranks()) {
            expect_on_rank(turn(hidden_sharded(cut, shape), OnRank{rank}), rank);
        }
    }
}

TEST_P(RedistributeTest, HiddenShardedToBatchShardedInterleavesTheColumnsOfItsRows) {
    for (auto const& from : cuts_of(shape.cols)) {
        for (auto const& cut : cuts_of(shape.rows)) {
            auto const to = turn(hidden_sharded(from, shape), BatchSharded{cut});
            expect_part(local<BatchSharded>(to), cut.of(world.rank()), cols);
        }
    }
}

TEST_P(RedistributeTest, OneRankToReplicatedBroadcasts) {
    for (int const rank : ranks()) {
        expect_part(local<Replicated>(turn(on_rank(rank), Replicated{})), rows, cols);
    }
}

TEST_P(RedistributeTest, OneRankToAnotherSends) {
    for (int const from : ranks()) {
        for (int const to : ranks()) expect_on_rank(turn(on_rank(from), OnRank{to}), to);
    }
}

TEST_P(RedistributeTest, ReplicatedToAnythingIsAView) {
    auto const from = replicated(shape);
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = turn(from, BatchSharded{cut});
        expect_part(local<BatchSharded>(to), cut.of(world.rank()), cols);
    }
    for (auto const& cut : cuts_of(shape.cols)) {
        auto const to = turn(from, HiddenSharded{cut});
        expect_part(local<HiddenSharded>(to), rows, cut.of(world.rank()));
        EXPECT_EQ(local<HiddenSharded>(to).stride, from.local.stride);
    }
    for (int const rank : ranks()) {
        auto const to = turn(from, OnRank{rank});
        expect_on_rank(to, rank);
        EXPECT_EQ(local<OnRank>(to).data, from.local.data);
    }
}

TEST_P(RedistributeTest, TheSameLayoutIsLeftAlone) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const from = batch_sharded(cut, shape);
        EXPECT_EQ(local<BatchSharded>(turn(from, BatchSharded{cut})).data, from.local.data);
    }
    auto const from = replicated(shape);
    EXPECT_EQ(local<Replicated>(turn(from, Replicated{})).data, from.local.data);
    auto const still_partial = turn(partial(shape), Partial{});
    EXPECT_TRUE(std::holds_alternative<Activation<Partial>>(still_partial));
}

using RedistributorTest = RedistributeFixture;

TEST_F(RedistributorTest, RefusesPairsThatThePlanNeverAsksFor) {
    Shape const shape{6, 10, DType::f32};
    BatchSharded const by_row{Partition(6, world.size())};
    HiddenSharded const by_column{Partition(10, world.size())};
    auto const rows = batch_sharded(by_row.cut, shape);
    auto const columns = hidden_sharded(by_column.cut, shape);
    auto const refuses = [&](AnyActivation const& from, Layout const& to) {
        EXPECT_THROW(redistribute(from, to, 6, 10), LogicError);
    };
    refuses(rows, by_column);
    refuses(replicated(shape), Partial{});
    refuses(rows, Partial{});
    refuses(columns, Partial{});
    refuses(partial(shape), by_column);
    try {
        redistribute(partial(shape), by_column, 6, 10);
    } catch (LogicError const& error) {
        EXPECT_STREQ(error.what(), "no redistribution from Partial to HiddenSharded");
    }
}

TEST_F(RedistributorTest, RefusesCutsThatDoNotFit) {
    Shape const shape{6, 10, DType::f32};
    Partition const too_many(11, world.size());
    Partition const other_ranks(6, world.size() + 1);
    auto const refuses = [&](AnyActivation const& from, Layout const& to) {
        EXPECT_THROW(redistribute(from, to, 6, 10), LogicError);
    };
    refuses(partial(shape), BatchSharded{too_many});
    refuses(partial(shape), BatchSharded{other_ranks});
    refuses(replicated(shape), BatchSharded{too_many});
    refuses(replicated(shape), HiddenSharded{too_many});
    auto rows = batch_sharded(Partition(6, world.size()), shape);
    refuses(rows, BatchSharded{too_many});
    rows.local.rows += 1;
    refuses(rows, Replicated{});
    auto columns = hidden_sharded(Partition(10, world.size()), shape);
    columns.local.cols += 1;
    refuses(columns, Replicated{});
}

}  // namespace
}  // namespace tesserank::parallel
