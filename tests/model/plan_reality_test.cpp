#include "model/plan_facts.hpp"
#include "tests/model/support_calls.hpp"
#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/queued_world.hpp"
#include "tests/support/resident_reference.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using test::CountedCall;

constexpr Workload workload{.batch = 5, .prompt = 7, .new_tokens = 4, .candidates = 1};

std::vector<GenerateRequest> requests_of(DecoderConfig const& config) {
    std::vector<GenerateRequest> requests(workload.batch);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].id = std::to_string(i);
        requests[i].prompt = test::pseudo_tokens(config, workload.prompt, i);
        requests[i].max_new_tokens = workload.new_tokens;
        requests[i].stop.ignore_eos = true;
    }
    return requests;
}

class PlanRealityTest : public test::MpiTest {
  protected:
    /// What this rank should see of the exchanges.
    std::vector<CountedCall> expected_calls(PlanFacts const& facts) const {
        std::vector<CountedCall> calls;
        test::add_calls(calls, world.rank(), facts.start);
        // Steps of a kind are listed together; here they run in their order.
        for (auto const& shape : prefill_shapes(workload, facts.plan.owners(), options.max_rows)) {
            test::add_calls(calls, world.rank(), exchanges_of(config, facts.plan, options, shape));
        }
        for (std::size_t token = 1; token < workload.new_tokens; ++token) {
            for (auto const& shape : decode_shapes(workload, options)) {
                test::add_calls(calls, world.rank(),
                                exchanges_of(config, facts.plan, options, shape));
            }
        }
        return calls;
    }

    /// Sums up the listed steps: what a report prints must be the sum of what is run.
    static std::size_t listed_calls(PlanFacts const& facts) {
        std::size_t calls = facts.start.size();
        for (auto const* phase : {&facts.prefill, &facts.decode}) {
            for (auto const& step : *phase) calls += step.count * step.exchanges.size();
        }
        return calls;
    }

    void check(PlacementPlan const& plan) {
        auto const dtype_of = [](std::string_view) { return DType::f32; };
        auto const facts = facts_of(config, plan, options, workload, dtype_of);
        auto const& mine = facts.ranks[static_cast<std::size_t>(world.rank())];
        test::ResidentReference backend;  // counts what is really asked for
        test::QueuedWorld queued(world);
        parallel::Communicator& ranks =
            options.resident ? static_cast<parallel::Communicator&>(queued) : world;
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer transformer(config, plan, backend, ranks, source, options);
        transformer.load();
        EXPECT_EQ(transformer.weight_bytes(), mine.weight_bytes);
        EXPECT_EQ(backend.allocated, mine.weight_bytes + mine.load_bytes + mine.forward_bytes);
        backend.allocated = 0;
        static_cast<void>(test::take_counted_calls());
        auto const requests = test::on_rank_0(world, requests_of(config));
        static_cast<void>(generate(transformer, world, requests, {}));
        test::expect_equal_calls(test::take_counted_calls(), expected_calls(facts));
        EXPECT_EQ(backend.allocated, mine.cache_bytes);
        EXPECT_EQ(backend.steps > 0, options.resident);
        std::size_t exchanges = facts.start.size();
        for (auto const& shape : prefill_shapes(workload, transformer.owners(), options.max_rows)) {
            exchanges += exchanges_of(config, plan, options, shape).size();
        }
        for (auto const& shape : decode_shapes(workload, options)) {
            exchanges +=
                (workload.new_tokens - 1) * exchanges_of(config, plan, options, shape).size();
        }
        EXPECT_EQ(listed_calls(facts), exchanges);
    }

    DecoderConfig config = test::decoder_with_everything();
    TransformerOptions options{.compute = DType::f32, .max_rows = 9, .max_logit_rows = 2};
};

TEST_F(PlanRealityTest, PresetsAllocateAndSendWhatTheySay) {
    for (auto const* wish :
         {"shard", "replicate", "split-batch", "replicate-attention", "split-batch-attention",
          "*=single:0", "*.attention=split-batch,*.mlp=replicate", "lm_head=split-batch",
          "embedding=split-batch,lm_head=replicate"}) {
        SCOPED_TRACE(wish);
        check(test::preset_plan(config, wish, world.size()));
    }
}

TEST_F(PlanRealityTest, ThirtyMixedPlansAllocateAndSendWhatTheySay) {
    auto const decoders = test::decoders();
    for (unsigned seed = 1; seed <= 30; ++seed) {
        config = decoders[seed % decoders.size()].config;
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + decoders[seed % decoders.size()].name);
        check(test::mixed_plan(config, world.size(), seed));
    }
}

TEST_F(PlanRealityTest, Bf16ActivationsHalveWhatIsGathered) {
    options.compute = DType::bf16;
    for (auto const* wish : {"shard", "split-batch-attention", "*.mlp=single:0"}) {
        SCOPED_TRACE(wish);
        check(test::preset_plan(config, wish, world.size()));
    }
}

TEST_F(PlanRealityTest, Fp8WeightsAllocateWhatTheySay) {
    options.weights = WeightFormat::fp8;
    for (auto const* wish : {"shard", "replicate", "split-batch-attention", "*.mlp=single:0"}) {
        SCOPED_TRACE(wish);
        check(test::preset_plan(config, wish, world.size()));
    }
    auto const decoders = test::decoders();
    for (unsigned seed = 1; seed <= 10; ++seed) {
        config = decoders[seed % decoders.size()].config;
        SCOPED_TRACE("seed " + std::to_string(seed));
        check(test::mixed_plan(config, world.size(), seed));
    }
}

TEST_F(PlanRealityTest, ResidentDecodingAllocatesAndSendsWhatItSays) {
    options.resident = true;
    for (auto const* wish :
         {"shard", "replicate", "split-batch", "split-batch-attention", "*=single:0",
          "*.attention=split-batch,*.mlp=replicate", "lm_head=split-batch"}) {
        SCOPED_TRACE(wish);
        check(test::preset_plan(config, wish, world.size()));
    }
    auto const decoders = test::decoders();
    for (unsigned seed = 1; seed <= 20; ++seed) {
        config = decoders[seed % decoders.size()].config;
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + decoders[seed % decoders.size()].name);
        check(test::mixed_plan(config, world.size(), seed));
    }
}

TEST_F(PlanRealityTest, SamplingWithoutTopKGathersTheLogits) {
    auto plan = test::preset_plan(config, "shard", world.size());
    auto const all =
        exchanges_of(config, plan, options, {.rows = 2, .outputs = 2, .candidates = 0});
    if (world.size() == 1) {
        EXPECT_TRUE(all.empty());
        return;
    }
    auto const& logits = all[all.size() - 2];
    EXPECT_EQ(name_of(logits.kind), "gather");
    EXPECT_EQ(logits.bytes, 2 * config.vocabulary * sizeof(float));
}

}  // namespace
}  // namespace tesserank::model
