#include "model/batch_limits.hpp"

#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::model {
namespace {

using test::input_error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

void expect_limits(BatchLimitInput const& input, std::size_t batch, std::size_t max_length) {
    auto const limits = choose_batch_limits(input);
    EXPECT_EQ(limits.batch, batch);
    EXPECT_EQ(limits.max_length, max_length);
    EXPECT_LE(limits.batch * limits.max_length, input.cache_tokens);
}

std::string refusal(BatchLimitInput const& input) {
    return input_error_of([&] { choose_batch_limits(input); });
}

TEST(BatchLimits, FillTheMemoryWhenNothingIsAskedFor) {
    expect_limits({.context = 100, .cache_tokens = 750, .batch = {}, .max_length = {}}, 7, 100);
    expect_limits({.context = 100, .cache_tokens = 100, .batch = {}, .max_length = {}}, 1, 100);
}

TEST(BatchLimits, StayAtTheLargestAutomaticBatch) {
    expect_limits({.context = 100, .cache_tokens = 1000000, .batch = {}, .max_length = {}},
                  largest_automatic_batch, 100);
}

TEST(BatchLimits, ShortenTheSequencesWhenNotOneOfTheLongestFits) {
    expect_limits({.context = 100, .cache_tokens = 60, .batch = {}, .max_length = {}}, 1, 60);
}

// 4096 tokens each leave room for 2 of them, and those then may use all of it.
TEST(BatchLimits, DoNotLetAHugeContextDecideThatOnlyOneSequenceFits) {
    expect_limits({.context = 131072, .cache_tokens = 10000, .batch = {}, .max_length = {}}, 2,
                  5000);
}

TEST(BatchLimits, TakeTheLengthThatIsAskedFor) {
    expect_limits({.context = 100, .cache_tokens = 750, .batch = {}, .max_length = 50}, 15, 50);
    expect_limits({.context = 100, .cache_tokens = 750, .batch = {}, .max_length = 100}, 7, 100);
    expect_limits({.context = 100, .cache_tokens = 1000, .batch = {}, .max_length = 2}, 32, 2);
}

TEST(BatchLimits, TakeTheBatchThatIsAskedFor) {
    expect_limits({.context = 100, .cache_tokens = 750, .batch = 3, .max_length = {}}, 3, 100);
    expect_limits({.context = 100, .cache_tokens = 750, .batch = 10, .max_length = {}}, 10, 75);
    expect_limits({.context = 100, .cache_tokens = 10000, .batch = 64, .max_length = {}}, 64, 100);
}

TEST(BatchLimits, TakeBoth) {
    expect_limits({.context = 100, .cache_tokens = 750, .batch = 10, .max_length = 75}, 10, 75);
}

TEST(BatchLimits, RefuseALengthBeyondTheContext) {
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 1000, .batch = {}, .max_length = 101}),
                AllOf(HasSubstr("--max-length 101"), HasSubstr("100")));
}

TEST(BatchLimits, RefuseWhatTheMemoryDoesNotHold) {
    EXPECT_THAT(
        refusal({.context = 100, .cache_tokens = 750, .batch = 10, .max_length = 76}),
        AllOf(HasSubstr("750 tokens"), HasSubstr("10 sequence(s) of 76"), HasSubstr("--batch")));
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 50, .batch = {}, .max_length = 60}),
                HasSubstr("1 sequence(s) of 60"));
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 5, .batch = 3, .max_length = {}}),
                HasSubstr("3 sequence(s) of 2"));
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 1, .batch = {}, .max_length = {}}),
                HasSubstr("1 tokens"));
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 0, .batch = {}, .max_length = {}}),
                HasSubstr("0 tokens"));
}

TEST(BatchLimits, RefuseABatchOfNone) {
    EXPECT_THAT(refusal({.context = 100, .cache_tokens = 1000, .batch = 0, .max_length = {}}),
                HasSubstr("--batch"));
}

TEST(BatchLimits, AreCheckedBeforeTheMemoryIsKnown) {
    EXPECT_NO_THROW(check_batch_wishes({.context = 100, .batch = 10, .max_length = 100}));
    EXPECT_THROW(check_batch_wishes({.context = 100, .batch = {}, .max_length = 101}),
                 kernels::InputError);
}

TEST(BatchLimits, RefuseALengthWithoutRoomForANewToken) {
    for (std::size_t const length : {0U, 1U}) {
        EXPECT_THAT(
            refusal({.context = 100, .cache_tokens = 1000, .batch = {}, .max_length = length}),
            HasSubstr("--max-length"));
    }
}

}  // namespace
}  // namespace tesserank::model
