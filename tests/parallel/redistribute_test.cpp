#include "parallel/redistribute.hpp"

#include "kernels/backend.hpp"
#include "kernels/error.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <memory>
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

float get(TensorView const& x, std::size_t t, std::size_t h) {
    return x.dtype == DType::f32 ? x.row<float>(t)[h] : to_float(x.row<BFloat16>(t)[h]);
}
void set(TensorView const& x, std::size_t t, std::size_t h, float value) {
    if (x.dtype == DType::f32) {
        x.row<float>(t)[h] = value;
    } else {
        x.row<BFloat16>(t)[h] = kernels::from_float<BFloat16>(value);
    }
}

/// The activation [T, H] that all layouts of these tests stand for; exact in bf16.
float whole_at(std::size_t t, std::size_t h) { return static_cast<float>((t * 31 + h * 7) % 200); }

struct Shape {
    std::size_t rows, cols;
    DType dtype;
    bool strided;
};
std::ostream& operator<<(std::ostream& out, Shape const& shape) {
    return out << shape.rows << "x" << shape.cols << "_" << name_of(shape.dtype)
               << (shape.strided ? "_strided" : "_contiguous");
}

class RedistributeFixture : public test::MpiTest {
  protected:
    /// A tensor of this rank, which may be a range of the columns of a wider one.
    TensorView make(std::size_t rows, std::size_t cols, Shape const& shape) {
        std::size_t const margin = shape.strided ? 2 : 0;
        owned.push_back(kernels::make_tensor(*backend, shape.dtype, rows, cols + 2 * margin));
        return owned.back().view.cols_from(margin, cols);
    }
    /// The part of the whole that lies at these rows and columns.
    TensorView part(Range rows, Range cols, Shape const& shape) {
        TensorView const x = make(rows.count, cols.count, shape);
        for (std::size_t t = 0; t < rows.count; ++t) {
            for (std::size_t h = 0; h < cols.count; ++h) {
                set(x, t, h, whole_at(rows.begin + t, cols.begin + h));
            }
        }
        return x;
    }
    static void expect_part(TensorView const& x, Range rows, Range cols) {
        ASSERT_EQ(x.rows, rows.count);
        ASSERT_EQ(x.cols, cols.count);
        for (std::size_t t = 0; t < rows.count; ++t) {
            for (std::size_t h = 0; h < cols.count; ++h) {
                ASSERT_EQ(get(x, t, h), whole_at(rows.begin + t, cols.begin + h))
                    << "t=" << t << " h=" << h;
            }
        }
    }
    /// Terms whose sum over the ranks is the whole: rank r adds r + 1, the last takes all off.
    Activation<Partial> partial(Shape const& shape) {
        bool const last = world.rank() == world.size() - 1;
        int const others = world.size() * (world.size() - 1) / 2;
        TensorView const x = make(shape.rows, shape.cols, shape);
        for (std::size_t t = 0; t < shape.rows; ++t) {
            for (std::size_t h = 0; h < shape.cols; ++h) {
                auto const extra = static_cast<float>(last ? -others : world.rank() + 1);
                set(x, t, h, (last ? whole_at(t, h) : 0.0F) + extra);
            }
        }
        return {x, {}};
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

    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    Redistributor redistribute{*backend, world};
    std::vector<Tensor> owned;
};

class RedistributeTest : public RedistributeFixture, public ::testing::WithParamInterface<Shape> {
  protected:
    Shape const shape = GetParam();
    Range const rows{0, shape.rows}, cols{0, shape.cols};
};
INSTANTIATE_TEST_SUITE_P(
    Shapes, RedistributeTest,
    ::testing::Values(Shape{1, 8, DType::f32, false}, Shape{7, 13, DType::f32, false},
                      Shape{7, 13, DType::f32, true}, Shape{1, 13, DType::f32, true},
                      Shape{2, 3, DType::bf16, false}, Shape{64, 129, DType::bf16, true},
                      Shape{2, 1, DType::f32, false}, Shape{0, 5, DType::f32, false},
                      Shape{5, 0, DType::f32, false}),
    ::testing::PrintToStringParamName());

TEST_P(RedistributeTest, PartialToReplicatedAddsTheRanks) {
    auto const from = partial(shape);
    auto const to = redistribute.to_replicated(from);
    expect_part(to.local, rows, cols);
    EXPECT_EQ(to.local.data == from.local.data, from.local.contiguous()) << "in place if possible";
}

TEST_P(RedistributeTest, PartialToBatchShardedGivesTheRowsOfTheSum) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = redistribute(partial(shape), BatchSharded{cut});
        expect_part(std::get<Activation<BatchSharded>>(to).local, cut.of(world.rank()), cols);
    }
}

TEST_P(RedistributeTest, BatchShardedToReplicatedStacksTheRows) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = redistribute.to_replicated(batch_sharded(cut, shape));
        expect_part(to.local, rows, cols);
    }
}

TEST_P(RedistributeTest, HiddenShardedToReplicatedInterleavesTheColumns) {
    for (auto const& cut : cuts_of(shape.cols)) {
        auto const to = redistribute.to_replicated(hidden_sharded(cut, shape));
        expect_part(to.local, rows, cols);
    }
}

TEST_P(RedistributeTest, ReplicatedToShardedIsAView) {
    auto const from = replicated(shape);
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const to = std::get<Activation<BatchSharded>>(redistribute(from, BatchSharded{cut}));
        expect_part(to.local, cut.of(world.rank()), cols);
        EXPECT_EQ(to.local.stride, from.local.stride);
        EXPECT_EQ(to.layout.cut, cut);
    }
    for (auto const& cut : cuts_of(shape.cols)) {
        auto const to = std::get<Activation<HiddenSharded>>(redistribute(from, HiddenSharded{cut}));
        expect_part(to.local, rows, cut.of(world.rank()));
        EXPECT_EQ(to.local.stride, from.local.stride);
        EXPECT_EQ(to.layout.cut, cut);
    }
}

TEST_P(RedistributeTest, OneResultIsTheNextInput) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const rows_of_sum = redistribute(partial(shape), BatchSharded{cut});
        auto const whole = redistribute.to_replicated(rows_of_sum);
        expect_part(whole.local, rows, cols);
        auto const again = redistribute(whole, BatchSharded{cut});
        expect_part(redistribute.to_replicated(again).local, rows, cols);
    }
    for (auto const& cut : cuts_of(shape.cols)) {
        auto const whole = redistribute.to_replicated(hidden_sharded(cut, shape));
        auto const again = redistribute(whole, HiddenSharded{cut});
        expect_part(redistribute.to_replicated(again).local, rows, cols);
    }
}

TEST_P(RedistributeTest, TheSameLayoutIsLeftAlone) {
    for (auto const& cut : cuts_of(shape.rows)) {
        auto const from = batch_sharded(cut, shape);
        auto const to = redistribute(from, BatchSharded{cut});
        EXPECT_EQ(std::get<Activation<BatchSharded>>(to).local.data, from.local.data);
    }
    auto const from = replicated(shape);
    EXPECT_EQ(redistribute.to_replicated(from).local.data, from.local.data);
    auto const still_partial = redistribute(partial(shape), Partial{});
    EXPECT_TRUE(std::holds_alternative<Activation<Partial>>(still_partial));
}

using RedistributorTest = RedistributeFixture;

TEST_F(RedistributorTest, ReusesItsMemoryForResultsThatAreNoLarger) {
    Shape const large{6, 10, DType::f32, false};
    Shape const small{3, 10, DType::f32, false};
    auto const to_whole = [&](Shape const& shape) {
        auto const from = hidden_sharded(Partition(shape.cols, world.size()), shape);
        return redistribute.to_replicated(from).local.data;
    };
    auto* const memory = to_whole(large);
    EXPECT_EQ(to_whole(large), memory);
    EXPECT_EQ(to_whole(small), memory);
    EXPECT_EQ(to_whole(large), memory);
}

TEST_F(RedistributorTest, RefusesPairsThatThePlanNeverAsksFor) {
    Shape const shape{6, 10, DType::f32, false};
    BatchSharded const by_row{Partition(6, world.size())};
    HiddenSharded const by_column{Partition(10, world.size())};
    auto const rows = batch_sharded(by_row.cut, shape);
    auto const columns = hidden_sharded(by_column.cut, shape);
    EXPECT_THROW(redistribute(rows, by_column), LogicError);
    EXPECT_THROW(redistribute(columns, by_row), LogicError);
    EXPECT_THROW(redistribute(replicated(shape), Partial{}), LogicError);
    EXPECT_THROW(redistribute(rows, Partial{}), LogicError);
    EXPECT_THROW(redistribute(columns, Partial{}), LogicError);
    EXPECT_THROW(redistribute(partial(shape), by_column), LogicError);
    try {
        redistribute(partial(shape), by_column);
    } catch (LogicError const& error) {
        EXPECT_STREQ(error.what(), "no redistribution from Partial to HiddenSharded");
    }
}

TEST_F(RedistributorTest, RefusesCutsThatDoNotFit) {
    Shape const shape{6, 10, DType::f32, false};
    Partition const too_many(11, world.size());
    Partition const other_ranks(6, world.size() + 1);
    EXPECT_THROW(redistribute(partial(shape), BatchSharded{too_many}), LogicError);
    EXPECT_THROW(redistribute(partial(shape), BatchSharded{other_ranks}), LogicError);
    EXPECT_THROW(redistribute(replicated(shape), BatchSharded{too_many}), LogicError);
    EXPECT_THROW(redistribute(replicated(shape), HiddenSharded{too_many}), LogicError);
    auto rows = batch_sharded(Partition(6, world.size()), shape);
    EXPECT_THROW(redistribute(rows, BatchSharded{too_many}), LogicError) << "another cut";
    rows.local.rows += 1;
    EXPECT_THROW(redistribute.to_replicated(rows), LogicError);
    auto columns = hidden_sharded(Partition(10, world.size()), shape);
    columns.local.cols += 1;
    EXPECT_THROW(redistribute.to_replicated(columns), LogicError);
}

}  // namespace
}  // namespace tesserank::parallel
