#include "kernels/cuda_device.hpp"
#include "kernels/error.hpp"
#include "model/resident_loop.hpp"
#include "parallel/collective_ring.hpp"
#include "parallel/nccl.hpp"
#include "parallel/peer_sums.hpp"
#include "parallel/self_communicator.hpp"
#include "tests/emulation/device.hpp"
#include "tests/model/support_resident.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_text.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/nccl_double.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// Both loops of decoding on the CUDA backend and NCCL, emulated: what is recorded is a graph, runs
/// when somebody waits, and finds its arguments as they were.
namespace tesserank::model {
namespace {

using kernels::DType;
using Requests = std::vector<GenerateRequest>;

class ResidentEmulatedTest : public test::MpiTest {
  protected:
    std::vector<GenerateResult> run(DecoderConfig const& config, PlacementPlan const& plan,
                                    Requests const& requests, BatchTools const& tools,
                                    TransformerOptions const& options) {
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer model(config, plan, *backend, *ranks, source, options);
        backend->synchronize();  // the weights are written past the stream, behind its zeros
        model.load();
        auto results = generate(model, world, test::on_rank_0(world, requests), tools);
        backend->synchronize();
        return results;
    }

    std::vector<GenerateResult> compare(DecoderConfig const& config, PlacementPlan const& plan,
                                        Requests const& requests, BatchTools const& tools = {},
                                        TransformerOptions options = {}) {
        auto const wanted = run(config, plan, requests, tools, options);
        options.resident = true;
        auto found = run(config, plan, requests, tools, options);
        test::expect_same(found, wanted);
        return found;
    }

    /// As app/rank_device.cpp does it.
    void connect(double seconds = 60.0) {
        if (world.size() == 1) {
            ranks = std::make_unique<parallel::SelfCommunicator>(*backend);
        } else {
            ranks = parallel::make_nccl_communicator(world, kernels::cuda_stream_of(*backend),
                                                     {.library = NCCL_DOUBLE, .seconds = seconds});
        }
        backend->set_watch([this](double waited) { ranks->check(waited); });
    }
    void add_peers() {
        if (world.size() == 1) return;
        ranks->set_peers(
            std::make_shared<parallel::PeerSums>(world, *backend, parallel::PeerSumOptions{}));
    }
    void disconnect() {
        backend->set_watch(nullptr);
        ranks.reset();
    }

    void SetUp() override { connect(); }
    void TearDown() override {
        disconnect();
        EXPECT_THAT(test::nccl_double(NCCL_DOUBLE).misuse, ::testing::IsEmpty());
        MpiTest::TearDown();
    }

    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(0);
    std::unique_ptr<parallel::Communicator> ranks;
};

TEST_F(ResidentEmulatedTest, ChoosesTheTokensOfTheHostsLoop) {
    auto const config = test::decoder_with_everything();
    for (auto const* wish :
         {"shard", "split-batch-attention", "lm_head=split-batch", "*.mlp=single:0"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        compare(config, plan, test::mixed_requests(config));
    }
}

TEST_F(ResidentEmulatedTest, LaterBatchesReplayWhatEarlierOnesRecorded) {
    auto const config = test::decoder_with_everything();
    auto const plan = test::preset_plan(config, "shard", world.size());
    test::PseudoWeights source(test::tensors_of(config), world.rank());
    Transformer model(config, plan, *backend, *ranks, source, {.resident = true});
    backend->synchronize();
    model.load();
    auto const new_captures = [&](Requests const& requests) {
        auto const wanted = run(config, plan, requests, {}, {});
        auto const before = emulation::captures_begun();
        test::expect_same(generate(model, world, test::on_rank_0(world, requests), {}), wanted);
        backend->synchronize();
        return emulation::captures_begun() - before;
    };
    auto requests = test::ragged_requests(config);
    requests.resize(3);
    EXPECT_GT(new_captures(requests), 0U);
    for (auto& request : requests) std::ranges::reverse(request.prompt);
    EXPECT_EQ(new_captures(requests), 0U);
    requests[0].prompt.push_back(5);
    EXPECT_GT(new_captures(requests), 0U) << "the cache is another one";
    EXPECT_EQ(new_captures(requests), 0U);
}

TEST_F(ResidentEmulatedTest, ChoosesThemInBf16AndSeveralBlocks) {
    auto config = test::decoder_with({6, 3, 8});
    config.qk_norm = QkNorm::whole;
    auto const plan = test::preset_plan(config, "shard", world.size());
    TransformerOptions const options{
        .compute = DType::bf16, .inner = DType::bf16, .max_rows = 5, .max_logit_rows = 2};
    auto requests = test::ragged_requests(config);
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].top_logprobs = i;
    compare(config, plan, requests, {}, options);
}

TEST_F(ResidentEmulatedTest, ChoosesThemWithFp8Weights) {
    auto const config = test::decoder_with_everything();
    auto const requests = test::ragged_requests(config);
    TransformerOptions options{.weights = WeightFormat::fp8, .max_rows = 9};
    auto const plan = test::preset_plan(config, "shard", world.size());
    for (auto const compute : {DType::f32, DType::bf16}) {
        options.compute = options.inner = compute;
        compare(config, plan, requests, {}, options);
    }
}

/// The reference backend multiplies the same rounded weights in f32; see weight_format_test.cpp.
TEST_F(ResidentEmulatedTest, Fp8WeightsGiveTheLogitsOfTheReferenceBackend) {
    auto const config = test::decoder_with_everything();
    auto const requests = test::ragged_requests(config);
    TransformerOptions const options{.weights = WeightFormat::fp8, .max_rows = 9};
    for (auto const* wish : {"shard", "replicate"}) {
        SCOPED_TRACE(wish);
        auto const plan = test::preset_plan(config, wish, world.size());
        test::KeepLogits found, wanted;
        run(config, plan, requests, {.eos_ids = {}, .text = nullptr, .logits = &found}, options);
        test::LoadedModel host(config, plan, world, {.limits = options});
        static_cast<void>(generate(host.transformer, world, test::on_rank_0(world, requests),
                                   {.eos_ids = {}, .text = nullptr, .logits = &wanted}));
        for (auto const& [id, rows] : wanted.rows) test::expect_close(found.rows.at(id), rows);
    }
}

/// In pieces of up to 16 rows nothing but weights is quantised; see weight_format_test.cpp for the
/// bound.
TEST_F(ResidentEmulatedTest, NormsQuantiseTheRowsOfLongPrompts) {
    auto config = test::decoder_with({6, 3, 16});
    config.hidden = 32;
    config.intermediate = 96;
    auto const plan = test::preset_plan(config, "shard", world.size());
    Requests const requests{test::request_of(config, "a", 20, 1)};
    auto const logits_of = [&](std::size_t max_rows) {
        TransformerOptions const options{.compute = DType::bf16,
                                         .inner = DType::bf16,
                                         .weights = WeightFormat::fp8,
                                         .max_rows = max_rows};
        test::KeepLogits logits;
        run(config, plan, requests, {.eos_ids = {}, .text = nullptr, .logits = &logits}, options);
        return logits.rows;
    };
    auto const wanted = logits_of(16);
    auto const before = emulation::grids_run("QuantisedTarget");
    auto const found = logits_of(20);
    EXPECT_GT(emulation::grids_run("QuantisedTarget"), before);
    for (auto const& [id, rows] : wanted) test::expect_close(found.at(id), rows, 0.15);
}

/// The double of NCCL adds in the order of the ranks too.
TEST_F(ResidentEmulatedTest, SumsWithinKernelsGiveTheSameBits) {
    auto const config = test::decoder_with_everything();
    auto const plan = test::preset_plan(config, "shard", world.size());
    auto requests = test::ragged_requests(config);
    requests.resize(3);
    TransformerOptions const options{.compute = DType::bf16, .weights = WeightFormat::fp8};
    auto const logits_and_calls = [&] {
        test::KeepLogits logits;
        auto const before = world.ring()->snapshot().calls;
        run(config, plan, requests, {.eos_ids = {}, .text = nullptr, .logits = &logits}, options);
        return std::pair(logits.rows, world.ring()->snapshot().calls - before);
    };
    auto const wanted = logits_and_calls();
    add_peers();
    auto const before = emulation::grids_run("peer_norm");
    EXPECT_EQ(logits_and_calls(), wanted);
    compare(config, plan, requests, {}, options);
    EXPECT_EQ(emulation::grids_run("peer_norm") > before, world.size() > 1);
}

TEST_F(ResidentEmulatedTest, EndsSequencesByIdAndByText) {
    auto const config = test::decoder_with_everything();
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < config.vocabulary; ++i) {
        pieces.emplace_back(1 + i % 2, static_cast<char>('A' + i));
    }
    test::FakeTextStreams const texts(pieces);
    auto const plan = test::preset_plan(config, "shard", world.size());
    auto requests = test::ragged_requests(config);
    auto const free = compare(config, plan, requests);
    if (world.rank() == 0) {
        requests[4].stop.token_ids = {free[4].tokens.at(1)};
        std::string text;
        for (auto const token : free[1].tokens) text += pieces[static_cast<std::size_t>(token)];
        requests[1].stop.strings = {text.substr(text.size() / 2, 2)};
    }
    auto const results = compare(config, plan, requests, {.eos_ids = {}, .text = &texts});
    if (world.rank() == 0) {
        EXPECT_EQ(results[1].reason, FinishReason::stop);
        EXPECT_EQ(results[4].reason, FinishReason::stop);
    }
}

TEST_F(ResidentEmulatedTest, ARankThatStopsDecodingEndsTheOthers) {
    if (world.size() == 1) GTEST_SKIP() << "no others";
    auto& nccl = test::nccl_double(NCCL_DOUBLE);
    disconnect();
    connect(1.0);
    auto const config = test::tiny_decoder();
    auto const plan = test::preset_plan(config, "shard", world.size());
    Requests const requests{test::request_of(config, "a", 4, 12)};
    auto const stops = [&] {
        if (world.rank() + 1 < world.size()) return;
        backend->synchronize();
        std::this_thread::sleep_for(std::chrono::seconds(3));
        throw kernels::SystemError("stopped");
    };
    // A GPU that waits lets its host look meanwhile; the emulated one has the host's thread.
    nccl.while_waiting = [&](double seconds) {
        try {
            ranks->check(seconds);
        } catch (kernels::SystemError const&) {
            // Again when the host looks.
        }
    };
    std::string text = "no error";
    try {
        run(config, plan, requests, {.eos_ids = {}, .prefilled = stops}, {.resident = true});
    } catch (kernels::SystemError const& error) {
        text = error.what();
    }
    nccl.while_waiting = nullptr;
    bool const is_last = world.rank() + 1 == world.size();
    EXPECT_THAT(text, ::testing::HasSubstr(is_last ? "stopped" : "no end after 1 s"));
    // What was recorded is gone by now, or this would not return.
    disconnect();
    EXPECT_EQ(nccl.aborted, is_last ? 0 : 1);
}

}  // namespace
}  // namespace tesserank::model
