#include "model/candidates.hpp"

#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace tesserank::model {
namespace {

using parallel::Activation;
using parallel::Partition;

constexpr std::size_t vocabulary = 13;

/// Two rows with many equal logits.
std::vector<float> row(std::size_t index) {
    std::vector<float> logits(vocabulary, 1.0F);
    logits[3] = logits[7] = logits[12] = 2.0F;
    if (index == 1) logits[9] = 5.0F;
    return logits;
}

class CandidatesTest : public test::MpiTest {
  protected:
    void expect_best(Candidates const& found, std::size_t rows) {
        if (world.rank() != 0) {
            EXPECT_EQ(found.rows, 0);
            return;
        }
        ASSERT_EQ(found.rows, rows);
        for (std::size_t i = 0; i < rows; ++i) {
            auto const logits = row(i % 2);
            double sum = 0.0;
            for (float const logit : logits) sum += std::exp(double(logit));
            EXPECT_NEAR(found.log_sums[i], std::log(sum), 1e-5);
            std::vector<std::int32_t> best;
            for (std::size_t c = 0; c < found.per_row; ++c) {
                std::size_t const at = i * found.per_row + c;
                EXPECT_TRUE(c == 0 || found.tokens[at - 1] < found.tokens[at]) << "ids rise";
                EXPECT_EQ(found.logits[at], logits[std::size_t(found.tokens[at])]);
                if (found.logits[at] >= 2.0F) best.push_back(found.tokens[at]);
            }
            // Whatever else there is, the two best of the row are among them: on ties the lowest.
            std::vector<std::int32_t> const wanted =
                i % 2 == 0 ? std::vector{3, 7} : std::vector{3, 9};
            for (auto const token : wanted) {
                EXPECT_NE(std::ranges::find(best, token), best.end()) << "row " << i;
            }
        }
    }

    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
};

TEST_F(CandidatesTest, OfAShardedVocabularyAreThoseOfTheWhole) {
    Partition const cut(vocabulary, world.size());
    auto const own = cut.of(world.rank());
    std::vector<float> local;
    for (std::size_t i = 0; i < 2; ++i) {
        auto const logits = row(i);
        local.insert(local.end(), logits.begin() + std::ptrdiff_t(own.begin),
                     logits.begin() + std::ptrdiff_t(own.end()));
    }
    Activation<parallel::HiddenSharded> const x{kernels::view_of(local.data(), 2, own.count),
                                                {cut}};
    expect_best(gather_candidates(*backend, world, x, 2), 2);
}

TEST_F(CandidatesTest, OfDealtRowsComeFromTheirOwners) {
    Partition const cut(5, world.size());
    auto const own = cut.of(world.rank());
    std::vector<float> local;
    for (std::size_t i = own.begin; i < own.end(); ++i) {
        auto const logits = row(i % 2);
        local.insert(local.end(), logits.begin(), logits.end());
    }
    Activation<parallel::BatchSharded> const x{
        kernels::view_of(local.data(), own.count, vocabulary), {cut}};
    expect_best(gather_candidates(*backend, world, x, 2), 5);
}

TEST_F(CandidatesTest, OfOneRankAreSent) {
    int const last = world.size() - 1;
    std::vector<float> local;
    bool const here = world.rank() == last;
    if (here) local = row(0);
    Activation<parallel::OnRank> const x{kernels::view_of(local.data(), here ? 1 : 0, vocabulary),
                                         {last, 1}};
    expect_best(gather_candidates(*backend, world, x, 2), 1);
}

TEST_F(CandidatesTest, AreOneForGreedyAndKForTopK) {
    GenerateRequest request;
    EXPECT_EQ(candidates_for(request, 100), 1);
    request.top_logprobs = 7;
    EXPECT_EQ(candidates_for(request, 100), 7) << "the likely tokens are reported too";
    EXPECT_EQ(candidates_for(request, 5), 5);
    request.sampling.temperature = 1.0F;
    EXPECT_EQ(candidates_for(request, 100), 0) << "any token may be drawn";
    request.sampling.top_k = 20;
    EXPECT_EQ(candidates_for(request, 100), 20);
    request.sampling.top_k = 10000;
    EXPECT_EQ(candidates_for(request, 100000), 0) << "too many to be worth it";
    request.sampling = {.repetition_penalty = 1.5F};
    EXPECT_EQ(candidates_for(request, 100), 0) << "a penalty can lift any token";
}

}  // namespace
}  // namespace tesserank::model
