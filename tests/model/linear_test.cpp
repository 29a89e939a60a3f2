#include "model/linear.hpp"

#include "model/module.hpp"
#include "model/text_context.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <type_traits>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::Backend;
using kernels::TensorView;
using parallel::Activation;
using parallel::BatchSharded;
using parallel::HiddenSharded;
using parallel::OnRank;
using parallel::Partial;
using parallel::Replicated;

using ColumnParallel = Linear<Replicated, UnitSharded>;
using RowParallel = Linear<UnitSharded, Partial>;
using WholeLinear = Linear<Replicated, Replicated>;

template <class Layer, class Layout>
constexpr bool takes = std::invocable<Layer const&, Backend&, Activation<Layout>, TensorView>;

static_assert(takes<ColumnParallel, Replicated>);
static_assert(!takes<ColumnParallel, UnitSharded>, "the columns are cut, not the input");
static_assert(!takes<ColumnParallel, Partial>, "sum up first");
static_assert(takes<RowParallel, UnitSharded>);
static_assert(!takes<RowParallel, Replicated>, "every rank would add the whole input");
static_assert(!takes<RowParallel, Partial>, "sum up first");
static_assert(!takes<RowParallel, HiddenSharded>, "units are cut by heads, not by columns");
static_assert(takes<WholeLinear, Replicated>);
static_assert(!takes<WholeLinear, UnitSharded>, "gather first");
static_assert(!takes<WholeLinear, Partial>, "sum up first");

// A module takes the layout of its spread alone, and units never leave it.
template <class Spread, class Layout>
constexpr bool module_takes = requires(PlacedModule<Spread, TextContext> const& module,
                                       TextContext& context, TensorView y,
                                       Activation<Layout> const& x) {
    module.compute(context, x, y);
};
static_assert(module_takes<Sharded, Replicated> && module_takes<Whole, Replicated>);
static_assert(!module_takes<Sharded, Partial> && !module_takes<Sharded, UnitSharded>);
static_assert(!module_takes<Sharded, BatchSharded> && !module_takes<Whole, OnRank>);
static_assert(module_takes<SplitBatch, BatchSharded> && !module_takes<SplitBatch, Replicated>);
static_assert(module_takes<Single, OnRank> && !module_takes<Single, Replicated>);
static_assert(!std::is_constructible_v<parallel::AnyActivation, Activation<UnitSharded>>);
static_assert(!std::is_convertible_v<Activation<Partial>, Activation<Replicated>>);

// What the modules are made of: inner and outer layouts of the ways to spread their work.
static_assert(std::same_as<Sharded::Inner, UnitSharded> && std::same_as<Sharded::Output, Partial>);
static_assert(std::same_as<Whole::Inner, Replicated> && std::same_as<Whole::Output, Replicated>);

TEST(Linear, MultipliesAndAddsTheBias) {
    auto const backend = kernels::make_reference_backend();
    std::vector<float> const weight{1, 2, 3, 4, 5, 6}, bias{10, 20, 30};
    std::vector<float> x{1, -1}, y(3);
    WholeLinear const linear{kernels::view_of(weight.data(), 3, 2),
                             kernels::view_of(bias.data(), 1, 3)};
    auto const result =
        linear(*backend, {kernels::view_of(x.data(), 1, 2), {}}, kernels::view_of(y.data(), 1, 3));
    EXPECT_EQ(y, (std::vector<float>{9, 19, 29}));
    EXPECT_EQ(result.local.data, reinterpret_cast<std::byte*>(y.data()));
}

TEST(Linear, MultipliesByTheScalesOfItsRows) {
    auto const backend = kernels::make_reference_backend();
    std::vector<kernels::Float8> weight;
    for (float const value : {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}) {
        weight.push_back(kernels::from_float<kernels::Float8>(value));
    }
    std::vector<float> const bias{10, 20, 30}, scales{1, 2, -4};
    std::vector<float> x{1, -1}, y(3);
    WholeLinear const linear{kernels::view_of(std::as_const(weight).data(), 3, 2),
                             kernels::view_of(bias.data(), 1, 3),
                             kernels::view_of(scales.data(), 1, 3)};
    linear(*backend, {kernels::view_of(x.data(), 1, 2), {}}, kernels::view_of(y.data(), 1, 3));
    EXPECT_EQ(y, (std::vector<float>{9, 18, 34}));
}

TEST(Linear, WithoutColumnsGivesTheBiasAlone) {
    auto const backend = kernels::make_reference_backend();
    std::vector<float> const bias{10, 20, 30};
    std::vector<float> y{5, 5, 5};
    TensorView const no_columns{{nullptr, kernels::DType::f32, 3, 0, 0}};
    RowParallel const linear{no_columns, kernels::view_of(bias.data(), 1, 3)};
    linear(*backend, {no_columns.rows_from(0, 1), {}}, kernels::view_of(y.data(), 1, 3));
    EXPECT_EQ(y, bias);
}

}  // namespace
}  // namespace tesserank::model
