#include "model/calibration_shapes.hpp"

#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace tesserank::model {
namespace {

using kernels::DType;
using Phase = Step::Phase;
using ::testing::Contains;
using ::testing::Not;

/// Hidden 20, 6 query and 3 kv heads of 6, 29 MLP columns, a vocabulary of 37; 5 prompts of 10.
CalibrationRequest request_for(int ranks, DType compute = DType::f32,
                               WeightFormat weights = WeightFormat::file) {
    auto const config = test::tiny_decoder();
    DTypeOf const dtype_of = [](std::string_view) { return DType::bf16; };
    return quick_calibration(
        {.config = config,
         .options = {.compute = compute, .weights = weights, .max_rows = 64, .max_logit_rows = 64},
         .workload = {.batch = 5, .prompt = 10, .new_tokens = 4, .candidates = 1},
         .dtype_of = dtype_of,
         .ranks = ranks},
        3);
}

Task<GemmWork> gemm(std::size_t rows, std::size_t outputs, std::size_t inputs,
                    Busy busy = Busy::all) {
    return {{DType::bf16, DType::f32, rows, outputs, inputs}, busy};
}

TEST(CalibrationShapes, HoldEveryMatrixWholeAndCut) {
    auto const gemms = request_for(4).gemms;
    for (std::size_t const rows : {50U, 5U}) {
        for (auto const busy : {Busy::all, Busy::one}) {
            EXPECT_THAT(gemms, Contains(gemm(rows, 72, 20, busy)));  // 6 + 2 * 3 heads
            EXPECT_THAT(gemms, Contains(gemm(rows, 20, 36, busy)));
            EXPECT_THAT(gemms, Contains(gemm(rows, 58, 20, busy)));  // gate and up
            EXPECT_THAT(gemms, Contains(gemm(rows, 20, 29, busy)));
        }
        EXPECT_THAT(gemms, Contains(gemm(rows, 24, 20)));  // 2 query heads of one kv head
        EXPECT_THAT(gemms, Contains(gemm(rows, 18, 20)));  // 1 query head
        EXPECT_THAT(gemms, Contains(gemm(rows, 20, 12)));
        EXPECT_THAT(gemms, Contains(gemm(rows, 20, 6)));
        EXPECT_THAT(gemms, Contains(gemm(rows, 16, 20)));  // 8 columns
        EXPECT_THAT(gemms, Contains(gemm(rows, 14, 20)));  // 7
    }
}

// An encoder of 5 heads of 4 with 36 MLP columns; three tiles are 51 rows and 12 features.
TEST(CalibrationShapes, HoldThoseOfAVisionEncoder) {
    auto const config = test::vision_decoder();
    DTypeOf const dtype_of = [](std::string_view) { return DType::bf16; };
    auto const request =
        quick_calibration({.config = config,
                           .options = {},
                           .workload = {.batch = 1, .prompt = 20, .new_tokens = 1, .tiles = 3},
                           .dtype_of = dtype_of,
                           .ranks = 2},
                          3);
    for (auto const& whole : {gemm(48, 20, 147), gemm(51, 60, 20), gemm(51, 36, 20),
                              gemm(51, 20, 36), gemm(12, 64, 80), gemm(12, 64, 64)}) {
        EXPECT_THAT(request.gemms, Contains(whole)) << whole.work.outputs;
    }
    EXPECT_THAT(request.gemms, Contains(gemm(51, 24, 20)));  // of 2 of the heads
    EXPECT_THAT(request.gemms, Contains(gemm(34, 36, 20)));  // of 2 of the tiles
    EXPECT_THAT(request.message_bytes, Contains(51U * 20 * sizeof(float)));
    EXPECT_THAT(request.message_bytes, Contains(12U * 64 * sizeof(float)));
}

TEST(CalibrationShapes, HoldBf16InThePlaceOfFp8) {
    EXPECT_EQ(request_for(2, DType::f32, WeightFormat::fp8).gemms, request_for(2).gemms);
}

TEST(CalibrationShapes, DealOutTheRowsOfWholeMatrices) {
    auto const gemms = request_for(4).gemms;
    for (std::size_t const rows : {20U, 10U, 2U, 1U}) {
        EXPECT_THAT(gemms, Contains(gemm(rows, 72, 20)));
        EXPECT_THAT(gemms, Not(Contains(gemm(rows, 72, 20, Busy::one))));
    }
}

TEST(CalibrationShapes, NeedTheLmHeadForOutputsOnly) {
    auto const gemms = request_for(4).gemms;
    EXPECT_THAT(gemms, Contains(gemm(5, 37, 20)));
    EXPECT_THAT(gemms, Contains(gemm(5, 10, 20)));
    EXPECT_THAT(gemms, Contains(gemm(5, 9, 20)));
    EXPECT_THAT(gemms, Not(Contains(gemm(50, 37, 20))));
}

TEST(CalibrationShapes, HoldTheHeadsOfBothPhases) {
    auto const attentions = request_for(4).attentions;
    using Want = Task<AttentionWork>;
    EXPECT_THAT(attentions,
                Contains(Want{{Phase::prefill, DType::f32, 50, 5, 6, 3, 6}, Busy::one}));
    EXPECT_THAT(attentions, Contains(Want{{Phase::decode, DType::f32, 5, 12, 2, 1, 6}, Busy::all}));
    EXPECT_THAT(attentions, Contains(Want{{Phase::decode, DType::f32, 2, 12, 6, 3, 6}, Busy::all}));
}

TEST(CalibrationShapes, HoldTheBytesOfActivations) {
    auto const bytes = request_for(4, DType::bf16).message_bytes;
    for (std::size_t const size : {50U * 20 * 4, 50U * 20 * 2, 5U * 20 * 4, 5U * 20 * 2}) {
        EXPECT_THAT(bytes, Contains(size));
    }
}

TEST(CalibrationShapes, HoldNothingTwiceAndNothingEmpty) {
    for (int const ranks : {1, 2, 5, 8}) {
        auto const request = request_for(ranks);
        for (auto const& task : request.gemms) {
            EXPECT_EQ(std::ranges::count(request.gemms, task), 1);
            EXPECT_GT(task.work.rows * task.work.outputs * task.work.inputs, 0U);
        }
        for (auto const& task : request.attentions) {
            EXPECT_EQ(std::ranges::count(request.attentions, task), 1);
            EXPECT_GT(task.work.rows * task.work.query_heads * task.work.kv_heads, 0U);
        }
    }
}

TEST(CalibrationShapes, AreAGridForAnyModel) {
    auto const request = general_calibration(45);
    EXPECT_EQ(request.seconds, 45);
    EXPECT_THAT(request.message_bytes, Contains(4U));
    EXPECT_THAT(request.message_bytes, Contains(16U << 20));
    for (auto const weight : {DType::f32, DType::bf16}) {
        for (auto const busy : {Busy::all, Busy::one}) {
            EXPECT_THAT(request.gemms,
                        Contains(Task<GemmWork>{{weight, DType::bf16, 16, 2048, 2048}, busy}));
        }
    }
    EXPECT_FALSE(request.passes.empty());
}

}  // namespace
}  // namespace tesserank::model
