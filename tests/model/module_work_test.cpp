#include "model/module_work.hpp"

#include "tests/model/support_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tesserank::model {
namespace {

using kernels::DType;

class ModuleWorkTest : public ::testing::Test {
  protected:
    static StepLoad load(std::size_t rows, std::size_t batch = 4) {
        return {.phase = Step::Phase::decode,
                .shape = {.rows = rows, .outputs = rows},
                .context = 20,
                .batch = batch};
    }
    ModuleSpec const& module(std::string const& name) const {
        return *std::ranges::find(modules_, name, &ModuleSpec::name);
    }
    ModuleWork work(std::string const& name, Placement placement, int rank,
                    StepLoad const& step) const {
        return work_of({config_, options_, dtype_of_, ranks_}, module(name), placement, rank, step);
    }

    DecoderConfig config_ = test::tiny_decoder();
    TransformerOptions options_;
    DTypeOf dtype_of_ = [](std::string_view) { return DType::bf16; };
    int ranks_ = 4;
    std::vector<ModuleSpec> modules_ = describe_modules(config_);
};

TEST_F(ModuleWorkTest, SharesOfAnMlpAreTheWholeWork) {
    std::size_t columns = 0, inner = 0;
    for (int rank = 0; rank < ranks_; ++rank) {
        auto const share = work("layers.0.mlp", Placement::shard, rank, load(3));
        ASSERT_EQ(share.gemms.size(), 2U);
        EXPECT_EQ(share.gemms[0].rows, 3U);
        columns += share.gemms[0].outputs;
        inner += share.gemms[1].inputs;
    }
    auto const whole = work("layers.0.mlp", Placement::replicate, 2, load(3));
    EXPECT_EQ(columns, whole.gemms[0].outputs);
    EXPECT_EQ(inner, whole.gemms[1].inputs);
    EXPECT_EQ(whole.gemms[0].outputs, 2 * config_.intermediate);
    EXPECT_EQ(whole.gemms[0].weight, DType::bf16);
    EXPECT_EQ(whole.gemms[0].input, DType::f32);
}

TEST_F(ModuleWorkTest, SharesOfAttentionHoldTheKvHeadsThatTheyNeed) {
    // 6 query heads of 3 kv heads over 4 ranks are 2, 2, 1, 1; each needs one kv head.
    for (int rank = 0; rank < ranks_; ++rank) {
        auto const share = work("layers.1.attention", Placement::shard, rank, load(3));
        ASSERT_TRUE(share.attention);
        EXPECT_EQ(share.attention->query_heads, rank < 2 ? 2U : 1U);
        EXPECT_EQ(share.attention->kv_heads, 1U);
        EXPECT_EQ(share.gemms[0].outputs, (share.attention->query_heads + 2) * config_.head_dim);
    }
}

TEST_F(ModuleWorkTest, DealtRowsFollowTheSequences) {
    // 5 sequences on 4 ranks are 2, 1, 1, 1.
    for (int rank = 0; rank < ranks_; ++rank) {
        auto const share = work("layers.0.mlp", Placement::split_batch, rank, load(5, 5));
        EXPECT_EQ(share.gemms[0].rows, rank == 0 ? 2U : 1U);
        EXPECT_EQ(share.gemms[0].outputs, 2 * config_.intermediate);
    }
    EXPECT_TRUE(work("layers.0.mlp", Placement::split_batch, 3, load(2, 2)).empty());
}

TEST_F(ModuleWorkTest, OneRankWorksAlone) {
    for (auto const* name : {"embedding", "layers.0.attention", "layers.0.mlp", "lm_head"}) {
        for (int rank = 0; rank < ranks_; ++rank) {
            EXPECT_EQ(work(name, Placement::single(2), rank, load(3)).empty(), rank != 2) << name;
        }
    }
}

TEST_F(ModuleWorkTest, SurplusRanksDoNothing) {
    ranks_ = 8;
    EXPECT_FALSE(work("layers.0.attention", Placement::shard, 5, load(3)).empty());
    EXPECT_TRUE(work("layers.0.attention", Placement::shard, 6, load(3)).empty());
}

TEST_F(ModuleWorkTest, AWindowBoundsTheContext) {
    config_.windows = {7, 0};
    EXPECT_EQ(work("layers.0.attention", Placement::replicate, 0, load(3)).attention->context, 7U);
    EXPECT_EQ(work("layers.1.attention", Placement::replicate, 0, load(3)).attention->context, 20U);
}

TEST_F(ModuleWorkTest, ANormRunsWhereTheStreamLies) {
    PlannedWork const model{config_, options_, dtype_of_, ranks_};
    auto const bytes = [&](parallel::LayoutKind stream, int rank) {
        return norm_work_of(model, config_.hidden, stream, rank, load(4)).pass_bytes;
    };
    using Kind = parallel::LayoutKind::Kind;
    EXPECT_EQ(bytes({Kind::replicated}, 3), 4 * bytes({Kind::batch_sharded}, 3));
    EXPECT_EQ(bytes(parallel::LayoutKind::on_rank(1), 3), 0U);
    EXPECT_EQ(bytes(parallel::LayoutKind::on_rank(1), 1), bytes({Kind::replicated}, 1));
}

TEST(LoadsOf, CoverTheWholeBatch) {
    Workload const workload{.batch = 3, .prompt = 100, .new_tokens = 9};
    TransformerOptions options;
    options.max_rows = 128;
    for (int const owners : {1, 2}) {
        std::size_t rows = 0, outputs = 0;
        for (auto const& [load, count] :
             loads_of(workload, options, owners, Step::Phase::prefill)) {
            rows += count * load.shape.rows;
            outputs += count * load.shape.outputs;
        }
        EXPECT_EQ(rows, 300U) << owners;
        EXPECT_EQ(outputs, 3U) << owners;
    }
    auto const decode = loads_of(workload, options, 1, Step::Phase::decode);
    ASSERT_EQ(decode.size(), 1U);
    EXPECT_EQ(decode[0].count, 8U) << "the last prompt step gives the first token";
    EXPECT_EQ(decode[0].load.shape.rows, 3U);
    EXPECT_TRUE(
        loads_of({.batch = 3, .prompt = 100, .new_tokens = 1}, options, 1, Step::Phase::decode)
            .empty());
}

}  // namespace
}  // namespace tesserank::model
