#include "model/vision_work.hpp"

#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_vision.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tesserank::model {
namespace {

using kernels::DType;

/// 5 heads of 4; tiles of 16 patches of 7 by 7, 17 rows with the class token, 4 features.
class VisionWorkTest : public ::testing::Test {
  protected:
    std::vector<CountedLoad> loads(std::string_view wish) const {
        auto const plan = make_plan(modules_, wish, ranks_);
        return vision_loads_of(config_, plan, options_, workload_);
    }
    /// Of five tiles at once.
    ModuleWork work(std::string const& name, Placement placement, int rank) const {
        StepLoad const load{Step::Phase::prefill, {.rows = 5 * 17, .outputs = 5 * 4}, 17, 5};
        return work_of({config_, options_, dtype_of_, ranks_}, find_module(modules_, name),
                       placement, rank, load);
    }

    DecoderConfig config_ = test::vision_decoder();
    TransformerOptions options_;
    Workload workload_{.batch = 3, .prompt = 30, .tiles = 4};
    DTypeOf dtype_of_ = [](std::string_view) { return DType::bf16; };
    int ranks_ = 3;
    std::vector<ModuleSpec> modules_ = describe_vision(config_);
};

TEST_F(VisionWorkTest, EncodesAllTilesOfTheBatchInChunks) {
    options_.vision.max_tiles = 5;
    auto const found = loads("vision.*=shard");
    ASSERT_EQ(found.size(), 2U) << "12 tiles are 5, 5 and 2";
    EXPECT_EQ(found[0].count, 2U);
    EXPECT_EQ(found[0].load.batch, 5U);
    EXPECT_EQ(found[0].load.shape.rows, 5U * 17);
    EXPECT_EQ(found[0].load.shape.outputs, 5U * 4);
    EXPECT_EQ(found[0].load.context, 17U);
    EXPECT_EQ(found[1].count, 1U);
    EXPECT_EQ(found[1].load.batch, 2U);
    workload_.tiles = 0;
    EXPECT_TRUE(loads("vision.*=shard").empty());
}

TEST_F(VisionWorkTest, CutsAttentionByHeads) {
    // 5 heads over 3 ranks are 2, 2, 1.
    for (int rank = 0; rank < ranks_; ++rank) {
        std::size_t const heads = rank < 2 ? 2 : 1;
        auto const share = work("vision.layers.0.attention", Placement::shard, rank);
        ASSERT_EQ(share.gemms.size(), 2U);
        EXPECT_EQ(share.gemms[0], (GemmWork{DType::bf16, DType::f32, 85, 3 * heads * 4, 20}));
        EXPECT_EQ(share.gemms[1], (GemmWork{DType::bf16, DType::f32, 85, 20, heads * 4}));
        ASSERT_TRUE(share.attention);
        EXPECT_EQ(share.attention->rows, 85U);
        EXPECT_EQ(share.attention->context, 17U) << "no mask within a tile";
        EXPECT_EQ(share.attention->query_heads, heads);
        EXPECT_EQ(share.attention->kv_heads, heads);
    }
}

TEST_F(VisionWorkTest, DealsTilesOut) {
    // 5 tiles on 3 ranks are 2, 2, 1.
    for (int rank = 0; rank < ranks_; ++rank) {
        auto const share = work("vision.layers.0.mlp", Placement::split_batch, rank);
        std::size_t const rows = (rank < 2 ? 2 : 1) * 17;
        EXPECT_EQ(share.gemms[0], (GemmWork{DType::bf16, DType::f32, rows, 36, 20}));
        EXPECT_EQ(share.gemms[1], (GemmWork{DType::bf16, DType::f32, rows, 20, 36}));
    }
}

TEST_F(VisionWorkTest, EmbedsPatchesAndProjectsFeatures) {
    auto const embedding = work("vision.embedding", Placement::replicate, 1);
    EXPECT_EQ(embedding.gemms[0], (GemmWork{DType::bf16, DType::f32, 5 * 16, 20, 147}));
    EXPECT_GT(work("vision.embedding", Placement::replicate, 0).pass_bytes, embedding.pass_bytes)
        << "rank 0 cuts the patches";
    auto const elsewhere = work("vision.embedding", Placement::single(1), 0);
    EXPECT_TRUE(elsewhere.gemms.empty());
    EXPECT_GT(elsewhere.pass_bytes, 0U) << "also for another rank";
    auto const projector = work("vision.projector", Placement::single(1), 1);
    EXPECT_EQ(projector.gemms[0], (GemmWork{DType::bf16, DType::f32, 20, 64, 80}));
    EXPECT_EQ(projector.gemms[1], (GemmWork{DType::bf16, DType::f32, 20, 64, 64}));
    EXPECT_TRUE(work("vision.projector", Placement::single(1), 0).empty());
}

}  // namespace
}  // namespace tesserank::model
