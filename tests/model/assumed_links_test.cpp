#include "model/assumed_links.hpp"

#include "tests/model/support_machine.hpp"
#include "tests/model/support_model.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace tesserank::model {
namespace {

using parallel::Collective;

constexpr std::size_t large = std::size_t{1} << 24;

TEST(AssumedLinks, ComputeAsTheLocalMachine) {
    Machine const local(test::small_machine(1));
    auto const assumed = with_assumed_links(local, 4);
    EXPECT_EQ(assumed.ranks(), 4);
    EXPECT_EQ(assumed.points().gemms, local.points().gemms);
    EXPECT_EQ(assumed.points().attentions, local.points().attentions);
}

TEST(AssumedLinks, CostMoreForMoreRanksAndBytes) {
    Machine const local(test::small_machine(1));
    for (auto const kind : parallel::all_collectives) {
        double last = 0;
        for (int ranks = 2; ranks <= 64; ranks *= 2) {
            auto const assumed = with_assumed_links(local, ranks);
            EXPECT_GT(assumed.collective_seconds(kind, 4), 0);
            EXPECT_GT(assumed.collective_seconds(kind, large), assumed.collective_seconds(kind, 4));
            EXPECT_GT(assumed.collective_seconds(kind, large), last);
            last = assumed.collective_seconds(kind, large);
        }
    }
}

TEST(AssumedLinks, MakeAnAllReduceTheDearest) {
    auto const assumed = with_assumed_links(Machine(test::small_machine(1)), 3);
    EXPECT_GT(assumed.collective_seconds(Collective::all_reduce, large),
              assumed.collective_seconds(Collective::reduce_scatter, large));
}

TEST(AssumedLinks, StandBesideWhatOneProcessMeasures) {
    auto const config = test::tiny_decoder();
    DTypeOf const dtype_of = [](std::string_view) { return kernels::DType::f32; };
    auto const backend = kernels::make_reference_backend();
    auto const machine = measure_with_assumed_links(
        *backend,
        {.config = config,
         .options = {.compute = kernels::DType::f32, .max_rows = 64, .max_logit_rows = 64},
         .workload = {.batch = 3, .prompt = 10, .new_tokens = 4, .candidates = 1},
         .dtype_of = dtype_of,
         .ranks = 5},
        0.3);
    EXPECT_EQ(machine.ranks(), 5);
    EXPECT_GT(
        machine.gemm_seconds({kernels::DType::f32, kernels::DType::f32, 3, 72, 20}, Busy::all), 0);
    EXPECT_GT(machine.collective_seconds(Collective::gather, 64), 0);
}

TEST(AssumedLinks, AreNoneOnOneRank) {
    auto const alone = with_assumed_links(Machine(test::small_machine(2)), 1);
    EXPECT_EQ(alone.collective_seconds(Collective::all_reduce, large), 0);
}

}  // namespace
}  // namespace tesserank::model
