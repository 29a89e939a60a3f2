#include "model/resident_loop.hpp"

#include "tests/model/support_resident.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_text.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/queued_world.hpp"
#include "tests/support/resident_reference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using Results = std::vector<GenerateResult>;
using Requests = std::vector<GenerateRequest>;
using test::mixed_requests;
using test::ragged_requests;
using test::request_of;

class ResidentLoopTest : public test::MpiTest {
  protected:
    /// Both loops on the same plan; gives what the resident one found on rank 0.
    Results compare(DecoderConfig const& config, PlacementPlan const& plan,
                    Requests const& requests, BatchTools const& tools = {},
                    TransformerOptions options = {}) {
        auto const mine = test::on_rank_0(world, requests);
        test::LoadedModel host(config, plan, world, {.limits = options});
        auto const wanted = generate(host.transformer, world, mine, tools);
        options.resident = true;
        test::ResidentReference backend;
        test::QueuedWorld ranks(world);
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer model(config, plan, backend, ranks, source, options);
        model.load();
        auto found = generate(model, world, mine, tools);
        steps = backend.steps;
        recordings = backend.recordings;
        test::expect_same(found, wanted);
        return found;
    }

    std::size_t steps = 0, recordings = 0;
};

TEST_F(ResidentLoopTest, ChoosesTheTokensOfTheHostsLoopUnderEveryPreset) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish :
         {"shard", "replicate", "split-batch", "replicate-attention", "split-batch-attention",
          "*=single:0", "*.attention=split-batch,*.mlp=replicate", "lm_head=split-batch",
          "embedding=split-batch,lm_head=replicate"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        compare(config, plan, mixed_requests(config));
        EXPECT_GT(steps, 0);
        compare(config, plan, ragged_requests(config));
        compare(config, plan, ragged_requests(config, {.temperature = 1.0F, .top_k = 4}));
    }
}

TEST_F(ResidentLoopTest, ChoosesTheTokensOfTheHostsLoopUnderMixedPlans) {
    auto const decoders = test::decoders();
    for (unsigned seed = 1; seed <= 18; ++seed) {
        auto const& [name, config] = decoders[seed % decoders.size()];
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + name);
        auto const plan = test::mixed_plan(config, world.size(), seed);
        compare(config, plan, seed % 2 == 0 ? mixed_requests(config) : ragged_requests(config));
    }
}

TEST_F(ResidentLoopTest, TurnsEachSequenceByItsOwnLength) {
    auto config = test::tiny_decoder();
    config.rope = {.kind = RopeConfig::Kind::dynamic_ntk,
                   .theta = 100.0,
                   .factor = 4.0,
                   .original_context = 4};
    compare(config, test::preset_plan(config, "shard", world.size()), ragged_requests(config));
}

TEST_F(ResidentLoopTest, TakesSeveralBlocksForManyRows) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish : {"shard", "split-batch-attention", "lm_head=split-batch"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        for (auto const& limits : {TransformerOptions{.max_rows = 1, .max_logit_rows = 1},
                                   TransformerOptions{.max_rows = 5, .max_logit_rows = 2},
                                   TransformerOptions{.max_rows = 512, .max_logit_rows = 1}}) {
            compare(config, plan, ragged_requests(config), {}, limits);
            compare(config, plan, mixed_requests(config), {}, limits);
        }
    }
}

TEST_F(ResidentLoopTest, RecordsOnceForEachNumberOfRowsAndRunsNoStepTooMany) {
    auto const config = test::tiny_decoder();
    Requests requests;
    for (std::size_t i = 0; i < 4; ++i) {
        requests.push_back(request_of(config, std::to_string(i), 2 + i, i < 2 ? 4 : 10));
    }
    compare(config, test::preset_plan(config, "shard", world.size()), requests);
    // The last steps of the long ones run with two rows; one step was queued when the host saw that
    // the short ones had ended.
    EXPECT_EQ(steps, 9U);
    EXPECT_EQ(recordings, 2U);
}

TEST_F(ResidentLoopTest, LaterBatchesReplayWhatEarlierOnesRecorded) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish : {"shard", "split-batch"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        test::LoadedModel host(config, plan, world);
        test::ResidentReference backend;
        test::QueuedWorld ranks(world);
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer model(config, plan, backend, ranks, source, {.resident = true});
        model.load();
        auto const new_recordings = [&](Requests const& requests) {
            auto const before = backend.recordings;
            auto const mine = test::on_rank_0(world, requests);
            test::expect_same(generate(model, world, mine, {}),
                              generate(host.transformer, world, mine, {}));
            auto const made = static_cast<long long>(backend.recordings - before);
            EXPECT_EQ(world.all_min(made), made) << "ranks do not record together";
            EXPECT_EQ(world.all_min(-made), -made);
            return made;
        };
        auto const requests = ragged_requests(config);
        EXPECT_GT(new_recordings(requests), 0);
        EXPECT_EQ(new_recordings(requests), 0);
        auto others = requests;
        for (auto& request : others) {
            std::ranges::reverse(request.prompt);
            request.stop.token_ids = {997, 998, 999};  // never chosen
        }
        EXPECT_EQ(new_recordings(others), 0) << "other tokens, and more stop ids";
        for (auto& request : others) request.sampling = {.temperature = 1.0F, .top_k = 4};
        EXPECT_EQ(new_recordings(others) > 0, world.size() > 1) << "other candidates";
        others[2].top_logprobs = 3;
        EXPECT_GT(new_recordings(others), 0) << "other results";
        EXPECT_EQ(new_recordings(requests), 0) << "all kinds are kept";
        others = requests;
        others[0].prompt.push_back(5);
        EXPECT_GT(new_recordings(others), 0) << "the cache has grown";
        EXPECT_EQ(new_recordings(requests), 0);
        others.insert(others.end(), requests.begin(), requests.end());
        EXPECT_GT(new_recordings(others), 0) << "more rows";
        model.load();
        EXPECT_GT(new_recordings(others), 0) << "the memory is registered anew";
    }
}

TEST_F(ResidentLoopTest, EndsSequencesAtTheirIds) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish : {"shard", "split-batch"}) {
        auto const plan = test::preset_plan(config, wish, world.size());
        auto requests = ragged_requests(config);
        auto const free = compare(config, plan, requests);
        std::vector<std::int32_t> eos;
        if (world.rank() == 0) {
            eos = {free[1].tokens.at(2)};
            requests[4].stop.token_ids = {free[4].tokens.at(1), 0};
            requests[5].stop.ignore_eos = true;
        }
        auto const results = compare(config, plan, requests, {.eos_ids = eos});
        if (world.rank() == 0) {
            EXPECT_EQ(results[1].reason, FinishReason::stop);
            EXPECT_EQ(results[4].reason, FinishReason::stop);
        }
    }
}

TEST_F(ResidentLoopTest, RecordsForLongerContextsAsSequencesGrow) {
    auto const config = test::decoder_with_everything();
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < config.vocabulary; ++i) {
        pieces.emplace_back(1, static_cast<char>('A' + i));
    }
    test::FakeTextStreams const texts(pieces);
    for (auto const* wish : {"shard", "split-batch-attention"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        Requests requests{request_of(config, "long", 9, 20), request_of(config, "short", 2, 20),
                          request_of(config, "other", 3, 20)};
        TransformerOptions const options{.shortest_context = 2};
        auto const free = compare(config, plan, requests, {}, options);
        // Contexts of 11 to 16, and to 32, while three sequences run in four rows.
        EXPECT_EQ(recordings, 2U);
        if (world.rank() == 0) {
            std::string text;
            for (auto const token : free[0].tokens) text += pieces[static_cast<std::size_t>(token)];
            requests[0].stop.strings = {text.substr(2, 3)};
        }
        auto const results =
            compare(config, plan, requests, {.eos_ids = {}, .text = &texts}, options);
        if (world.rank() == 0) {
            EXPECT_EQ(results[0].reason, FinishReason::stop);
            EXPECT_EQ(results[1].tokens.size(), 20U);
        }
        // 16 with four rows; then two rows: 8 or 16, and 32.
        EXPECT_GE(recordings, 3U);
    }
}

TEST_F(ResidentLoopTest, DropsTheTokenBehindAStopString) {
    auto const config = test::decoder_with_everything();
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < config.vocabulary; ++i) {
        pieces.emplace_back(1 + i % 2, static_cast<char>('A' + i));
    }
    test::FakeTextStreams const texts(pieces);
    auto const plan = test::preset_plan(config, "shard", world.size());
    auto requests = ragged_requests(config);
    auto const free = compare(config, plan, requests);
    for (std::size_t const i : {std::size_t{1}, std::size_t{3}, std::size_t{5}}) {
        if (world.rank() != 0) continue;
        std::string text;
        for (auto const token : free[i].tokens) text += pieces[static_cast<std::size_t>(token)];
        requests[i].stop.strings = {"never", text.substr(text.size() / 2, 2)};
    }
    auto const results = compare(config, plan, requests, {.eos_ids = {}, .text = &texts});
    if (world.rank() == 0) {
        EXPECT_EQ(results[1].reason, FinishReason::stop);
    }
}

TEST_F(ResidentLoopTest, GivesTheMostLikelyTokens) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish : {"shard", "replicate", "lm_head=split-batch"}) {
        for (bool const sampled : {false, true}) {
            auto requests = ragged_requests(config);
            for (std::size_t i = 0; i < requests.size(); ++i) requests[i].top_logprobs = i;
            if (sampled) requests[3].sampling.temperature = 1.0F;
            compare(config, test::preset_plan(config, wish, world.size()), requests);
            EXPECT_GT(steps, 0);
        }
    }
}

TEST_F(ResidentLoopTest, LeavesToTheHostWhatItHasNoRoomFor) {
    auto config = test::tiny_decoder();
    config.vocabulary = 300;
    auto const plan = test::preset_plan(config, "shard", world.size());
    auto request = request_of(config, "a", 4, 3);
    request.top_logprobs = 257;
    compare(config, plan, {request});
    EXPECT_EQ(steps, 0U);
    request.top_logprobs = 256;
    compare(config, plan, {request});
    EXPECT_EQ(steps, 2U);
    request.stop.token_ids.assign(65, 299);
    compare(config, plan, {request});
    EXPECT_EQ(steps, 0U);
    test::KeepLogits sink;
    compare(config, plan, {request_of(config, "a", 4, 3)},
            {.eos_ids = {}, .text = nullptr, .logits = &sink});
    EXPECT_EQ(steps, 0U);
}

TEST_F(ResidentLoopTest, AllocatesWhatDecodeSizeSays) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish : {"shard", "replicate", "split-batch", "lm_head=single:0"}) {
        auto const plan = test::preset_plan(config, wish, world.size());
        TransformerOptions const options{.resident = true, .max_rows = 6, .max_logit_rows = 3};
        test::ResidentReference backend;
        test::QueuedWorld ranks(world);
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer model(config, plan, backend, ranks, source, options);
        model.load();
        EXPECT_EQ(backend.allocated, model.weight_bytes() + model.forward_bytes());
        backend.allocated = 0;
        auto const requests = ragged_requests(config);
        std::size_t all = 0, own = 0;
        parallel::Partition const deal(requests.size(), model.owners());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            std::size_t const tokens = requests[i].prompt.size() + requests[i].max_new_tokens;
            auto const mine = deal.of(plan.owner_of(world.rank()));
            all += tokens;
            if (i >= mine.begin && i < mine.end()) own += tokens;
        }
        generate(model, world, test::on_rank_0(world, requests), {});
        EXPECT_EQ(backend.allocated,
                  model.cache_bytes(all, own) + model.decode_bytes(requests.size()));
        EXPECT_GT(model.decode_bytes(requests.size()), 0);
        backend.allocated = 0;
        generate(model, world, test::on_rank_0(world, requests), {});
        EXPECT_EQ(backend.allocated, 0) << "the memory is kept";
    }
}

TEST(DecodeBucket, HasFewSizes) {
    std::vector<std::size_t> sizes;
    for (std::size_t rows = 1; rows <= 256; ++rows) {
        auto const bucket = decode_bucket(rows);
        EXPECT_GE(bucket, rows);
        if (sizes.empty() || sizes.back() != bucket) sizes.push_back(bucket);
    }
    EXPECT_THAT(sizes,
                ::testing::ElementsAre(1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256));
}

}  // namespace
}  // namespace tesserank::model
