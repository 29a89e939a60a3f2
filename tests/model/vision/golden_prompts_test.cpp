#include "model/generate.hpp"
#include "tests/model/vision/golden_vision.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/queued_world.hpp"
#include "tests/support/resident_reference.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using namespace std::string_literals;
using Case = std::tuple<char const*, char const*>;

/// Keeps the first row of each request: the prediction of its first new token.
class KeepFirst final : public LogitsSink {
  public:
    void append(std::string const& id, std::span<float const> logits) override {
        rows.emplace(id, std::vector<float>(logits.begin(), logits.end()));
    }
    std::map<std::string, std::vector<float>> rows;
};

class KeepFeatures final : public FeatureSink {
  public:
    void append(std::string const& id, std::size_t picture,
                std::span<float const> values) override {
        features[{id, picture}] = {values.begin(), values.end()};
    }
    std::map<std::pair<std::string, std::size_t>, std::vector<float>> features;
};

class GoldenPrompts : public test::MpiTest, public ::testing::WithParamInterface<Case> {
  protected:
    /// On rank 0: these prompts of the case, with their pictures.
    std::vector<GenerateRequest> requests(std::vector<std::size_t> const& prompts) const {
        std::vector<GenerateRequest> all;
        if (world.rank() != 0) return all;
        for (auto const prompt : prompts) {
            auto& request = all.emplace_back();
            request.id = std::to_string(prompt);
            request.prompt = golden.prompts[prompt];
            request.pictures = vision.of_prompts[prompt];
            request.max_new_tokens = new_tokens;
        }
        return all;
    }

    std::unique_ptr<Transformer> load(std::string const& wish, TransformerOptions const& options) {
        auto transformer = std::make_unique<Transformer>(
            golden.config, test::golden_plan(golden.config, wish, world.size()), *backend, world,
            golden, options);
        transformer->load();
        return transformer;
    }

    /// Logits behind each prompt, features of each picture and the first greedy tokens.
    void expect_golden(Transformer& transformer, std::vector<std::size_t> const& prompts) {
        KeepFirst logits;
        KeepFeatures features;
        auto const wanted = requests(prompts);
        auto const results =
            generate(transformer, world, wanted,
                     {.eos_ids = golden.eos, .logits = &logits, .features = &features});
        EXPECT_EQ(results.size(), wanted.size());
        std::size_t pictures = 0;
        for (std::size_t i = 0; i < results.size(); ++i) {
            SCOPED_TRACE("prompt " + wanted[i].id);
            auto tokens = golden.tokens[prompts[i]];
            tokens.resize(std::min(tokens.size(), new_tokens));
            EXPECT_EQ(results[i].tokens, tokens);
            EXPECT_LE(
                test::largest_error(logits.rows[wanted[i].id], golden.last_logits[prompts[i]]),
                golden.tolerance);
            auto const& indices = vision.indices[prompts[i]];
            for (std::size_t picture = 0; picture < indices.size(); ++picture, ++pictures) {
                auto const& expected = vision.features[indices[picture]];
                EXPECT_LE(test::largest_error(features.features[{wanted[i].id, picture}], expected),
                          1e-4 * test::largest(expected))
                    << "picture " << picture;
            }
        }
        EXPECT_EQ(features.features.size(), pictures);
    }

    static constexpr std::size_t new_tokens = 5;
    std::vector<std::size_t> const all_prompts{0, 1, 2, 3, 4};
    test::GoldenModel golden{std::get<0>(GetParam()), world.rank()};
    test::GoldenVision vision{golden};
    std::unique_ptr<kernels::Backend> backend = std::string(std::get<1>(GetParam())) == "kokkos"
                                                    ? kernels::make_kokkos_backend()
                                                    : kernels::make_reference_backend();
};

TEST_P(GoldenPrompts, GiveTheGoldenResultsUnderEveryPlacement) {
    auto const last = std::to_string(world.size() - 1);
    for (auto const& wish : {"shard"s, "split-batch"s, "split-batch-attention"s, "*=single:" + last,
                             "embedding=single:" + last + ",*.attention=replicate"}) {
        SCOPED_TRACE(wish);
        expect_golden(*load(wish, {}), all_prompts);
    }
}

// A chunk may begin and end within a picture, and hold parts of several prompts.
TEST_P(GoldenPrompts, GiveThemInChunksOfAnySize) {
    for (std::size_t const rows : {1U, 7U, 64U}) {
        for (auto const* wish : {"shard", "split-batch"}) {
            SCOPED_TRACE(std::string(wish) + ", chunks of " + std::to_string(rows));
            expect_golden(*load(wish, {.max_rows = rows, .max_logit_rows = 2}), all_prompts);
        }
    }
}

TEST_P(GoldenPrompts, GiveThemBatchAfterBatch) {
    for (bool const keep : {true, false}) {
        for (auto const* wish : {"shard", "split-batch"}) {
            SCOPED_TRACE(std::string(wish) + (keep ? ", kept" : ", loaded for each batch"));
            auto const transformer = load(wish, {.vision = {.keep = keep}});
            std::size_t const bytes = transformer->weight_bytes();
            expect_golden(*transformer, {3});
            expect_golden(*transformer, {2});  // has no picture
            expect_golden(*transformer, {4, 2, 0});
            EXPECT_EQ(transformer->weight_bytes(), bytes);
        }
    }
}

TEST_P(GoldenPrompts, GiveTheirTokensWhereTheDeviceDecodes) {
    test::ResidentReference device;
    test::QueuedWorld ranks(world);
    for (auto const* wish : {"shard", "split-batch"}) {
        SCOPED_TRACE(wish);
        Transformer transformer(golden.config, test::golden_plan(golden.config, wish, world.size()),
                                device, ranks, golden, {.resident = true, .max_rows = 16});
        transformer.load();
        auto const results =
            generate(transformer, world, requests(all_prompts), {.eos_ids = golden.eos});
        for (std::size_t i = 0; i < results.size(); ++i) {
            auto tokens = golden.tokens[i];
            tokens.resize(std::min(tokens.size(), new_tokens));
            EXPECT_EQ(results[i].tokens, tokens) << "prompt " << i;
        }
    }
    EXPECT_GT(device.steps, 0U);
}

TEST_P(GoldenPrompts, AreScoredWithTheirPictures) {
    for (auto const* wish : {"shard", "split-batch"}) {
        SCOPED_TRACE(wish);
        auto const transformer = load(wish, {.max_rows = 13});
        std::vector<ScoreRequest> wanted;
        for (auto const& request : requests(all_prompts)) {
            wanted.push_back({.id = request.id,
                              .prompt = request.prompt,
                              .pictures = request.pictures,
                              .completion = golden.tokens[std::stoul(request.id)]});
        }
        auto const results = score(*transformer, world, wanted, {});
        auto const logprobs = vision.expected.floats("greedy/logprobs");
        std::size_t const most = logprobs.size() / golden.prompts.size();
        for (std::size_t i = 0; i < results.size(); ++i) {
            std::span<float const> const row = std::span(logprobs).subspan(i * most, most);
            EXPECT_LE(test::largest_error(results[i].logprobs, row.first(golden.tokens[i].size())),
                      golden.tolerance)
                << "prompt " << i;
        }
    }
}

std::string name_of_case(::testing::TestParamInfo<Case> const& param) {
    return test::case_name(std::string(std::get<0>(param.param)) + "_" + std::get<1>(param.param));
}
INSTANTIATE_TEST_SUITE_P(OnKokkos, GoldenPrompts,
                         ::testing::Combine(::testing::ValuesIn(test::golden_vision_cases),
                                            ::testing::Values("kokkos")),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(OnReference, GoldenPrompts,
                         ::testing::Values(Case{"internvl-orig-25heads-bf16", "reference"}),
                         name_of_case);

}  // namespace
}  // namespace tesserank::model
