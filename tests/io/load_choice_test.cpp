#include "io/model_file/load_choice.hpp"

#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

TEST(LoadChoice, TheSlowerOfReadingAndExchangingCounts) {
    LoadMeasure measure{.bytes_read = 100,
                        .bytes_exchanged = 50,
                        .read_seconds = 1.0,
                        .exchange_seconds = 2.0,
                        .left_read = 300,
                        .left_exchanged = 100,
                        .left_direct = 500};
    auto estimate = estimate_load(measure);
    EXPECT_DOUBLE_EQ(estimate.cooperative_seconds, 4.0);  // of exchanging
    EXPECT_DOUBLE_EQ(estimate.direct_seconds, 5.0);
    measure.left_read = 450;
    EXPECT_DOUBLE_EQ(estimate_load(measure).cooperative_seconds, 4.5);  // of reading
}

TEST(LoadChoice, ARankThatHasReadNothingLeavesItToTheOthers) {
    auto const estimate = estimate_load({.left_read = 10, .left_exchanged = 10, .left_direct = 10});
    EXPECT_EQ(estimate.cooperative_seconds, 0.0);
    EXPECT_EQ(estimate.direct_seconds, 0.0);
}

TEST(LoadChoice, DirectLoadingHasToBeClearlyFaster) {
    EXPECT_TRUE(prefers_direct({.cooperative_seconds = 10.0, .direct_seconds = 7.9}));
    EXPECT_FALSE(prefers_direct({.cooperative_seconds = 10.0, .direct_seconds = 8.1}));
    EXPECT_FALSE(prefers_direct({.cooperative_seconds = 0.0, .direct_seconds = 0.0}));
}

}  // namespace
}  // namespace tesserank::io
