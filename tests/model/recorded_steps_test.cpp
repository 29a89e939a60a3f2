#include "model/recorded_steps.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace tesserank::model {
namespace {

/// Says when it goes.
class Counted final : public kernels::Recording {
  public:
    explicit Counted(int& alive) : alive_{alive} { ++alive_; }
    ~Counted() override { --alive_; }
    Counted(Counted const&) = delete;
    Counted& operator=(Counted const&) = delete;
    void replay() override {}

  private:
    int& alive_;
};

class RecordedStepsTest : public ::testing::Test {
  protected:
    static ResidentStep step(std::size_t context) {
        DecodeBlock const block{.table = {},
                                .deal = parallel::Partition(4, 2),
                                .chosen = {},
                                .top = {},
                                .candidates = {1}};
        return {.blocks = {block, block}, .context = context};
    }
    kernels::Recording& add(ResidentStep step) {
        return recorded.add(std::move(step), std::make_unique<Counted>(alive));
    }

    int alive = 0;
    RecordedSteps recorded;
};

TEST_F(RecordedStepsTest, FindsTheRecordingOfAnEqualStep) {
    auto const& first = add(step(256));
    auto const& second = add(step(512));
    EXPECT_EQ(recorded.find(step(256)), &first);
    EXPECT_EQ(recorded.find(step(512)), &second);
    EXPECT_EQ(recorded.find(step(1024)), nullptr);
}

TEST_F(RecordedStepsTest, StepsThatDifferAnywhereAreNotEqual) {
    add(step(256));
    auto const differs = [&](auto const& change) {
        auto other = step(256);
        change(other);
        return recorded.find(other) == nullptr;
    };
    kernels::DecodeRow row;
    std::int32_t id = 0;
    EXPECT_FALSE(differs([](ResidentStep&) {}));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.top = 1; }));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.penalties = true; }));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.blocks.pop_back(); }));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.blocks[1].candidates = {0}; }));
    EXPECT_TRUE(differs([](ResidentStep& s) {
        s.blocks[1].deal = parallel::Partition::of_shares({1, 3});
    }));
    EXPECT_TRUE(differs([&](ResidentStep& s) { s.blocks[1].table.rows = {&row, 1}; }));
    EXPECT_TRUE(differs([&](ResidentStep& s) { s.blocks[1].table.stop_ids = {&id, 1}; }));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.blocks[1].table.cos_sin.rows = 1; }));
    EXPECT_TRUE(differs([](ResidentStep& s) { s.blocks[1].table.frequencies.stride = 1; }));
}

TEST_F(RecordedStepsTest, ForgetsWhatWasNotUsedForLongest) {
    for (std::size_t i = 0; i < RecordedSteps::most; ++i) add(step(i));
    EXPECT_NE(recorded.find(step(0)), nullptr);
    add(step(1000));
    EXPECT_EQ(recorded.size(), RecordedSteps::most);
    EXPECT_EQ(alive, static_cast<int>(RecordedSteps::most));
    EXPECT_NE(recorded.find(step(0)), nullptr);
    EXPECT_EQ(recorded.find(step(1)), nullptr);
    EXPECT_NE(recorded.find(step(2)), nullptr);
    recorded.clear();
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(recorded.find(step(0)), nullptr);
}

}  // namespace
}  // namespace tesserank::model
