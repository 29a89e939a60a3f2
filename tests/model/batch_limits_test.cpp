#include "model/batch_limits.hpp"

#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::model {
namespace {

using test::input_error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Memory for so many tokens in all.
std::function<std::size_t(std::size_t)> memory_of(std::size_t tokens) {
    return [tokens](std::size_t batch) { return tokens / batch; };
}

void expect_limits(BatchLimitInput const& input, std::size_t batch, std::size_t max_length) {
    auto const limits = choose_batch_limits(input);
    EXPECT_EQ(limits.batch, batch);
    EXPECT_EQ(limits.max_length, max_length);
    EXPECT_LE(limits.max_length, input.length_for(limits.batch));
}

std::string refusal(BatchLimitInput const& input) {
    return input_error_of([&] { choose_batch_limits(input); });
}

TEST(BatchLimits, FillTheMemoryWhenNothingIsAskedFor) {
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = {}, .max_length = {}}, 7,
                  100);
    expect_limits({.context = 100, .length_for = memory_of(100), .batch = {}, .max_length = {}}, 1,
                  100);
}

TEST(BatchLimits, StayAtTheLargestAutomaticBatch) {
    expect_limits({.context = 100, .length_for = memory_of(1000000), .batch = {}, .max_length = {}},
                  largest_automatic_batch, 100);
}

TEST(BatchLimits, GiveEachOwnerASequence) {
    auto const limits = choose_batch_limits({.context = 100,
                                             .length_for = memory_of(1000000),
                                             .batch = {},
                                             .max_length = {},
                                             .owners = 50});
    EXPECT_EQ(limits.batch, 50);
}

TEST(BatchLimits, ShortenTheSequencesWhenNotOneOfTheLongestFits) {
    expect_limits({.context = 100, .length_for = memory_of(60), .batch = {}, .max_length = {}}, 1,
                  60);
}

// 4096 tokens each leave room for 2 of them, and those then may use all of it.
TEST(BatchLimits, DoNotLetAHugeContextDecideThatOnlyOneSequenceFits) {
    expect_limits(
        {.context = 131072, .length_for = memory_of(10000), .batch = {}, .max_length = {}}, 2,
        5000);
}

TEST(BatchLimits, TakeTheLengthThatIsAskedFor) {
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = {}, .max_length = 50}, 15,
                  50);
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = {}, .max_length = 100}, 7,
                  100);
    expect_limits({.context = 100, .length_for = memory_of(1000), .batch = {}, .max_length = 2}, 32,
                  2);
}

TEST(BatchLimits, TakeTheBatchThatIsAskedFor) {
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = 3, .max_length = {}}, 3,
                  100);
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = 10, .max_length = {}}, 10,
                  75);
    expect_limits({.context = 100, .length_for = memory_of(10000), .batch = 64, .max_length = {}},
                  64, 100);
}

TEST(BatchLimits, TakeBoth) {
    expect_limits({.context = 100, .length_for = memory_of(750), .batch = 10, .max_length = 75}, 10,
                  75);
}

TEST(BatchLimits, RefuseALengthBeyondTheContext) {
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(1000), .batch = {}, .max_length = 101}),
        AllOf(HasSubstr("--max-length 101"), HasSubstr("100")));
}

TEST(BatchLimits, RefuseWhatTheMemoryDoesNotHold) {
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(750), .batch = 10, .max_length = 76}),
        AllOf(HasSubstr("10 sequence(s) of 75"), HasSubstr("76 tokens"), HasSubstr("--batch")));
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(50), .batch = {}, .max_length = 60}),
        HasSubstr("1 sequence(s) of 50"));
    EXPECT_THAT(refusal({.context = 100, .length_for = memory_of(5), .batch = 3, .max_length = {}}),
                HasSubstr("too few for 2"));
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(1), .batch = {}, .max_length = {}}),
        HasSubstr("1 sequence(s) of 1"));
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(0), .batch = {}, .max_length = {}}),
        HasSubstr("1 sequence(s) of 0"));
}

// Three ranks with room for 10 tokens each, whose sequences are dealt out.
TEST(BatchLimits, CountWhatTheFullestRankHolds) {
    auto const dealt = [](std::size_t batch) { return 10 / ((batch + 2) / 3); };
    auto const limits =
        choose_batch_limits({.context = 5, .length_for = dealt, .batch = {}, .max_length = {}});
    EXPECT_EQ(limits.batch, 6);
    EXPECT_EQ(limits.max_length, 5);
}

TEST(BatchLimits, RefuseABatchOfNone) {
    EXPECT_THAT(
        refusal({.context = 100, .length_for = memory_of(1000), .batch = 0, .max_length = {}}),
        HasSubstr("--batch"));
}

TEST(BatchLimits, AreCheckedBeforeTheMemoryIsKnown) {
    EXPECT_NO_THROW(
        check_batch_wishes({.context = 100, .length_for = {}, .batch = 10, .max_length = 100}));
    EXPECT_THROW(
        check_batch_wishes({.context = 100, .length_for = {}, .batch = {}, .max_length = 101}),
        kernels::InputError);
}

TEST(BatchLimits, RefuseALengthWithoutRoomForANewToken) {
    for (std::size_t const length : {0U, 1U}) {
        EXPECT_THAT(
            refusal(
                {.context = 100, .length_for = memory_of(1000), .batch = {}, .max_length = length}),
            HasSubstr("--max-length"));
    }
}

}  // namespace
}  // namespace tesserank::model
