#include "model/share_batch.hpp"

#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tesserank::model {
namespace {

class ShareSequences : public test::MpiTest {
  protected:
    void expect_shared(std::vector<Sequence> const& all) {
        auto const shared =
            share_sequences(world, world.rank() == 0 ? all : std::vector<Sequence>());
        ASSERT_EQ(shared.size(), all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(shared[i].prompt, all[i].prompt);
            EXPECT_EQ(shared[i].max_new_tokens, all[i].max_new_tokens);
            EXPECT_EQ(shared[i].first_output, all[i].first_output);
            EXPECT_EQ(shared[i].length, all[i].length);
            EXPECT_EQ(shared[i].candidates, all[i].candidates);
            EXPECT_EQ(shared[i].places, all[i].places);
        }
    }
};

TEST_F(ShareSequences, GivesRankZerosSequencesToAll) {
    expect_shared(
        {{{5, 6, 7}, 10, 2, 4, 3}, {{0}, 0, 0}, {std::vector<std::int32_t>(1000, 9), 1, 999}});
}

TEST_F(ShareSequences, SharesWhereFeaturesStand) {
    expect_shared({{.prompt = {5, 6, 7, 8}, .places = {{0, 1}, {2, 2}}},
                   {.prompt = {1}, .max_new_tokens = 3},
                   {.prompt = {9, 9}, .places = {{0, 2}}}});
}

TEST_F(ShareSequences, SharesNothingToo) { expect_shared({}); }

}  // namespace
}  // namespace tesserank::model
