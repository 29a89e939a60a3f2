#include "parallel/layout.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <type_traits>
#include <utility>

namespace tesserank::parallel {
namespace {

/// A module function in miniature: takes whole activations, leaves a sum to be made.
struct RowParallel {
    Activation<Partial> operator()(Activation<HiddenSharded> const& x) const {
        return {x.local, Partial{}};
    }
};
static_assert(std::invocable<RowParallel, Activation<HiddenSharded>>);
static_assert(!std::invocable<RowParallel, Activation<Replicated>>, "shard x first");
static_assert(!std::invocable<RowParallel, Activation<Partial>>, "sum x and shard it first");
static_assert(!std::invocable<RowParallel, AnyActivation>, "the layout must be known");
static_assert(!std::is_convertible_v<Activation<Partial>, Activation<Replicated>>,
              "a pending sum is no value");
static_assert(!std::is_convertible_v<Activation<BatchSharded>, Activation<HiddenSharded>>);
static_assert(std::is_convertible_v<Activation<Partial>, AnyActivation>);

TEST(Layout, HasTheNameOfItsType) {
    EXPECT_EQ(name_of(Replicated{}), "Replicated");
    EXPECT_EQ(name_of(Partial{}), "Partial");
    EXPECT_EQ(name_of(HiddenSharded{Partition(4, 2)}), "HiddenSharded");
    EXPECT_EQ(name_of(BatchSharded{Partition(4, 2)}), "BatchSharded");
}

TEST(Layout, IsThatOfTheActivation) {
    Activation<HiddenSharded> const known{{}, {Partition(5, 2)}};
    Layout const layout = layout_of(known);
    ASSERT_TRUE(std::holds_alternative<HiddenSharded>(layout));
    EXPECT_EQ(std::get<HiddenSharded>(layout).cut, Partition(5, 2));
    EXPECT_TRUE(std::holds_alternative<Partial>(layout_of(Activation<Partial>{})));
}

}  // namespace
}  // namespace tesserank::parallel
