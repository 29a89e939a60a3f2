#include "model/machine.hpp"

#include "kernels/error.hpp"
#include "tests/model/support_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using test::small_machine;
using Phase = Step::Phase;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Machine machine(int ranks = 2) { return Machine(small_machine(ranks)); }

GemmWork gemm(std::size_t rows, std::size_t outputs, std::size_t inputs,
              DType weight = DType::f32) {
    return {weight, DType::f32, rows, outputs, inputs};
}

AttentionWork attention(std::size_t rows, std::size_t context, std::size_t heads = 8) {
    return {Phase::decode, DType::f32, rows, context, heads, heads / 2, 64};
}

TEST(Machine, SaysOfMeasuredWorkWhatWasMeasured) {
    auto const points = small_machine(2);
    Machine const machine(points);
    for (auto const& [task, seconds] : points.gemms) {
        EXPECT_EQ(machine.gemm_seconds(task.work, task.busy), seconds);
    }
    for (auto const& [task, seconds] : points.attentions) {
        EXPECT_EQ(machine.attention_seconds(task.work, task.busy), seconds);
    }
    for (auto const& [task, seconds] : points.passes) {
        EXPECT_EQ(machine.pass_seconds(task.work.bytes, task.busy), seconds);
    }
    for (auto const& [task, seconds] : points.collectives) {
        EXPECT_EQ(machine.collective_seconds(task.work.kind, task.work.bytes), seconds);
    }
}

TEST(Machine, InterpolatesOverRowsContextAndBytes) {
    auto const known = machine();
    double const unit = 1024.0 * 1024.0 * 1e-9;
    EXPECT_NEAR(known.gemm_seconds(gemm(8, 1024, 1024), Busy::all), 4 * unit, 1e-9);
    EXPECT_NEAR(known.attention_seconds(attention(4, 128), Busy::all), 512e-7, 1e-12);
    EXPECT_NEAR(known.collective_seconds(Collective::all_reduce, 8192), std::sqrt(5e-6 * 1e-3),
                1e-9);
}

TEST(Machine, ExtrapolatesByWorkAndFromLatency) {
    auto const known = machine();
    double const unit = 1024.0 * 1024.0 * 1e-9;
    EXPECT_NEAR(known.gemm_seconds(gemm(640, 1024, 1024), Busy::all), 160 * unit, 1e-9);
    EXPECT_NEAR(known.attention_seconds(attention(32, 512), Busy::all), 32 * 512e-7, 1e-9);
    EXPECT_NEAR(known.collective_seconds(Collective::gather, 16 << 20), 16e-3, 1e-9);
    EXPECT_EQ(known.collective_seconds(Collective::gather, 4), 5e-6);
    EXPECT_NEAR(known.pass_seconds(4 << 20, Busy::all), 8e-4, 1e-9);
    EXPECT_EQ(known.pass_seconds(8, Busy::all), 1e-6);
}

TEST(Machine, ScalesOtherShapesByTheirWork) {
    auto const known = machine();
    EXPECT_NEAR(known.gemm_seconds(gemm(1, 512, 2048), Busy::all), 512 * 2048e-9, 1e-9);
    EXPECT_NEAR(known.attention_seconds(attention(1, 64, 16), Busy::all), 2 * 64e-7, 1e-12);
}

TEST(Machine, TrustsTheNearestShapeMost) {
    auto points = small_machine(1);
    points.gemms = {{{gemm(1, 256, 256), Busy::all}, 256 * 256e-9},
                    {{gemm(1, 4096, 4096), Busy::all}, 4096 * 4096 * 3e-9}};
    Machine const known(points);
    EXPECT_LT(known.gemm_seconds(gemm(1, 300, 256), Busy::all), 300 * 256 * 1.05e-9);
    EXPECT_GT(known.gemm_seconds(gemm(1, 4096, 3500), Busy::all), 4096 * 3500 * 2.9e-9);
}

TEST(Machine, TakesWhatComesNextForWhatWasNotMeasured) {
    auto const known = machine();
    double const bf16 = known.gemm_seconds(gemm(1, 256, 256, DType::bf16), Busy::all);
    EXPECT_EQ(known.gemm_seconds(gemm(1, 256, 256, DType::f16), Busy::all), bf16);
    auto narrow = gemm(1, 256, 256, DType::bf16);
    narrow.input = DType::bf16;
    EXPECT_EQ(known.gemm_seconds(narrow, Busy::all), bf16);
    EXPECT_EQ(known.gemm_seconds(gemm(1, 256, 256, DType::bf16), Busy::one), bf16);
    EXPECT_EQ(known.attention_seconds(attention(1, 64), Busy::one), 64e-7);
    EXPECT_EQ(known.pass_seconds(1024, Busy::one), 1e-6);
}

TEST(Machine, TakesFp8WeightsForBf16OnesOfHalfTheReading) {
    auto const known = machine();
    double const read = 256 * 256e-9 / 2;  // in bf16
    EXPECT_NEAR(known.gemm_seconds(gemm(1, 256, 256, DType::f8e4m3), Busy::all), read / 2, 1e-12);
    EXPECT_NEAR(known.gemm_seconds(gemm(64, 256, 256, DType::f8e4m3), Busy::all), 15.5 * read,
                1e-12);
}

TEST(Machine, KnowsThatOneRankAloneIsFaster) {
    auto const known = machine();
    EXPECT_LT(known.gemm_seconds(gemm(1, 1024, 1024), Busy::one),
              known.gemm_seconds(gemm(1, 1024, 1024), Busy::all));
}

TEST(Machine, ChargesNothingForNoWork) {
    auto const known = machine();
    EXPECT_EQ(known.gemm_seconds(gemm(0, 256, 256), Busy::all), 0);
    EXPECT_EQ(known.gemm_seconds(gemm(1, 0, 256), Busy::all), 0);
    EXPECT_EQ(known.gemm_seconds(gemm(1, 256, 0), Busy::all), 0);
    EXPECT_EQ(known.attention_seconds(attention(0, 64), Busy::all), 0);
    EXPECT_EQ(known.attention_seconds(attention(1, 0), Busy::all), 0);
    EXPECT_EQ(known.attention_seconds(attention(1, 64, 0), Busy::all), 0);
    EXPECT_EQ(known.pass_seconds(0, Busy::all), 0);
    EXPECT_EQ(known.collective_seconds(Collective::all_reduce, 0), 0);
    EXPECT_EQ(known.collective_seconds(Collective::none, 1 << 20), 0);
    EXPECT_EQ(machine(1).collective_seconds(Collective::all_reduce, 1 << 20), 0);
}

/// Also where measurements fall although they should not.
TEST(Machine, NeverCostsLessForMore) {
    auto points = small_machine(3);
    points.gemms.push_back({{gemm(8, 256, 256), Busy::all}, 1e-7});
    points.attentions.push_back({{attention(16, 128), Busy::all}, 1e-9});
    points.collectives.push_back({{{Collective::all_reduce, 4096}, Busy::all}, 1e-7});
    Machine const known(points);
    double last_gemm = 0, last_attention = 0, last_message = 0, last_pass = 0;
    auto const rises = [](double& last, double now) {
        EXPECT_GE(now, last * (1 - 1e-12));
        EXPECT_GT(now, 0);
        last = now;
    };
    for (std::size_t n = 1; n < 3000; n += 1 + n / 7) {
        SCOPED_TRACE(n);
        rises(last_gemm, known.gemm_seconds(gemm(n, 300, 200), Busy::all));
        rises(last_attention, known.attention_seconds(attention(n, n), Busy::all));
        rises(last_message, known.collective_seconds(Collective::all_reduce, n * 64));
        rises(last_pass, known.pass_seconds(n * 1024, Busy::all));
    }
}

TEST(Machine, TakesNoMessageForDearerThanALargerOne) {
    auto points = small_machine(2);
    points.collectives.push_back({{{Collective::gather, 4096}, Busy::all}, 4.0});
    points.collectives.push_back({{{Collective::gather, 4}, Busy::all}, 4e-3});
    Machine const known(points);
    EXPECT_EQ(known.collective_seconds(Collective::gather, 4), 5e-6);
    EXPECT_EQ(known.collective_seconds(Collective::gather, 4096), 1e-3);
}

TEST(Machine, NeedsPointsOfEverything) {
    EXPECT_THAT(missing_of(small_machine(2)), IsEmpty());
    EXPECT_THAT(missing_of(small_machine(1)), IsEmpty());
    auto points = small_machine(1);
    points.passes.clear();
    EXPECT_THAT(missing_of(points), ElementsAre("pass"));
    EXPECT_THROW(Machine{points}, kernels::LogicError);
    points = small_machine(1);
    points.ranks = 2;
    EXPECT_THAT(missing_of(points), Contains("reduce-scatter"));
    points.gemms.clear();
    points.attentions.clear();
    EXPECT_THAT(missing_of(points), Contains("gemm"));
    EXPECT_THAT(missing_of(points), Contains("attention"));
}

}  // namespace
}  // namespace tesserank::model
