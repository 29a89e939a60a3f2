#include "model/generate.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/io/golden_model.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/swallows_one.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>

namespace tesserank::model {
namespace {

using kernels::DType;
using test::GoldenModel;

constexpr std::size_t most_new_tokens = 5;

class KeepFirst final : public LogitsSink {
  public:
    void append(std::string const& id, std::span<float const> logits) override {
        rows.emplace(std::stoul(id), std::vector<float>(logits.begin(), logits.end()));
    }
    std::map<std::size_t, std::vector<float>> rows;
};

class EveryPlan : public test::MpiTest, public ::testing::WithParamInterface<char const*> {
  protected:
    std::vector<GenerateRequest> requests(std::size_t new_tokens) const {
        std::vector<GenerateRequest> all;
        if (world.rank() != 0) return all;
        for (std::size_t i = 0; i < golden.prompts.size(); ++i) {
            auto& request = all.emplace_back();
            request.id = std::to_string(i);
            request.prompt = golden.prompts[i];
            request.max_new_tokens = new_tokens;
        }
        return all;
    }

    /// The largest error of a logit behind a prompt; on rank 0. Greedy tokens are checked too
    /// unless a collective is swallowed.
    double run(PlacementPlan const& plan, std::size_t swallowed = test::SwallowsOne::none) {
        test::SwallowsOne ranks(world, swallowed);
        Transformer transformer(golden.config, plan, *backend, ranks, golden, {});
        transformer.load();
        KeepFirst sink;
        static_cast<void>(generate(transformer, world, requests(1),
                                   {.eos_ids = golden.eos, .text = nullptr, .logits = &sink}));
        calls = ranks.calls();
        if (swallowed == test::SwallowsOne::none) check_tokens(transformer);
        double worst = 0.0;
        for (auto const& [index, row] : sink.rows) {
            for (std::size_t v = 0; v < row.size(); ++v) {
                double const error =
                    std::abs(double(row[v]) - double(golden.last_logits[index][v]));
                worst = std::isnan(error) ? INFINITY : std::max(worst, error);
            }
        }
        return worst;
    }

    void check_tokens(Transformer& transformer) {
        auto const results = generate(transformer, world, requests(most_new_tokens),
                                      {.eos_ids = golden.eos, .text = nullptr, .logits = nullptr});
        EXPECT_EQ(results.size(), world.rank() == 0 ? golden.prompts.size() : 0);
        for (std::size_t i = 0; i < results.size(); ++i) {
            auto wanted = golden.tokens[i];
            wanted.resize(std::min(wanted.size(), most_new_tokens));
            EXPECT_EQ(results[i].tokens, wanted) << "prompt " << i;
        }
    }

    /// One placement for each slot; a slot is a pattern.
    std::string rules(std::vector<std::string> const& slots, std::size_t choice) const {
        std::array<std::string, 5> const placements{"shard", "replicate", "split-batch", "single:0",
                                                    "single:" + std::to_string(world.size() - 1)};
        std::string text;
        for (auto const& slot : slots) {
            text += (text.empty() ? "" : ",") + slot + "=" + placements[choice % placements.size()];
            choice /= placements.size();
        }
        return text;
    }

    PlacementPlan plan_of(std::string const& wish) const {
        auto const modules = describe_modules(golden.config);
        auto plan = make_plan(modules, wish, world.size());
        settle_streams(plan, modules, DType::f32);
        return plan;
    }

    /// All 625 plans of four slots when TESSERANK_EVERY_PLAN is set; otherwise a twelfth of them,
    /// in steps that reach every placement of every slot.
    void check_all(std::vector<std::string> const& slots) {
        constexpr std::size_t plans = 5 * 5 * 5 * 5, stride = 112;
        std::size_t const checked = std::getenv("TESSERANK_EVERY_PLAN") == nullptr ? 52 : plans;
        for (std::size_t i = 0; i < checked; ++i) {
            auto const wish = rules(slots, i * stride % plans);
            SCOPED_TRACE(wish);
            EXPECT_LE(run(plan_of(wish)), golden.tolerance);
        }
    }

    GoldenModel golden{GetParam(), world.rank()};
    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    std::size_t calls = 0;
};

TEST_P(EveryPlan, OfModuleKindsGivesTheGoldenResults) {
    check_all({"embedding", "*.attention", "*.mlp", "lm_head"});
}

TEST_P(EveryPlan, OfLayerHalvesGivesTheGoldenResults) {
    check_all({"layers.0.attention", "layers.0.mlp", "layers.[1-9].attention", "layers.[1-9].mlp"});
}

/// Without any one of its redistributions a plan must give something else: so none is idle, and
/// the tests above would see a missing one.
TEST_P(EveryPlan, NeedsEachOfItsRedistributions) {
    if (world.size() == 1) return;
    for (auto const* wish :
         {"shard", "split-batch", "split-batch-attention", "replicate-attention",
          "*.attention=single:1,*.mlp=shard", "*.attention=single:0,*.mlp=split-batch",
          "layers.0.*=single:0,layers.1.*=single:1,lm_head=single:1"}) {
        SCOPED_TRACE(wish);
        auto const plan = plan_of(wish);
        static_cast<void>(run(plan));
        std::size_t const count = calls;
        EXPECT_GT(count, 0);
        for (std::size_t swallowed = 0; swallowed < count; ++swallowed) {
            double const error = run(plan, swallowed);
            if (world.rank() == 0) {
                EXPECT_GT(error, golden.tolerance) << "without " << swallowed;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryPlan, ::testing::Values("llama-5heads-kv1", "qwen2-tied-kv3"),
                         [](auto const& param) {
                             std::string name = param.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace tesserank::model
