#include "model/placement_rules.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using test::tiny_decoder;
using ::testing::Each;
using ::testing::Ge;

struct Heads {
    std::size_t query, kv;
};

DecoderConfig decoder_with(Heads heads) {
    auto config = tiny_decoder();
    config.query_heads = heads.query;
    config.kv_heads = heads.kv;
    config.qkv_bias = config.output_bias = config.mlp_bias = true;
    config.qk_norm = QkNorm::whole;
    return config;
}

/// How often the ranks' regions together hold each element.
std::vector<int> coverage(WeightSpec const& weight, std::vector<Region> const& regions) {
    std::vector<int> count(weight.rows * weight.cols);
    for (auto const& region : regions) {
        EXPECT_LE(region.rows.end(), weight.rows);
        EXPECT_LE(region.cols.end(), weight.cols);
        for (std::size_t r = region.rows.begin; r < region.rows.end(); ++r) {
            for (std::size_t c = region.cols.begin; c < region.cols.end(); ++c) {
                ++count[r * weight.cols + c];
            }
        }
    }
    return count;
}

/// Calls `check` with every weight of models with many head counts, cut over 1 to 8 ranks.
template <class Check>
void for_every_weight(Check const& check) {
    for (auto const heads : {Heads{6, 3}, {5, 1}, {4, 2}, {4, 4}, {2, 1}, {25, 5}, {12, 2}}) {
        for (int ranks = 1; ranks <= 8; ++ranks) {
            for (auto const& module : describe_modules(decoder_with(heads))) {
                for (auto const& weight : module.weights) {
                    SCOPED_TRACE(weight.tensor + ", " + std::to_string(heads.query) + "/" +
                                 std::to_string(heads.kv) + " heads, " + std::to_string(ranks) +
                                 " ranks");
                    check(module, weight, ranks);
                }
            }
        }
    }
}

TEST(RegionsOf, CoverEveryCutElementOnceUnderShard) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        auto const regions = regions_of(weight, module.units, Placement::shard, ranks);
        ASSERT_EQ(regions.size(), static_cast<std::size_t>(ranks));
        auto const count = coverage(weight, regions);
        if (weight.cut == Cut::none || weight.units_per_share > 1) {
            EXPECT_THAT(count, Each(Ge(1)));  // whole where needed; shared kv heads
        } else {
            EXPECT_THAT(count, Each(1));
        }
    });
}

TEST(RegionsOf, HoldAKvHeadOnceForEachRankWithOneOfItsQueryHeads) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        if (weight.units_per_share == 1) return;
        auto const regions = regions_of(weight, module.units, Placement::shard, ranks);
        parallel::Partition const queries(module.units, ranks);
        auto const count = coverage(weight, regions);
        for (std::size_t kv = 0; kv * weight.rows_or_cols_per_unit < weight.rows; ++kv) {
            parallel::Range const group{kv * weight.units_per_share, weight.units_per_share};
            int users = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                auto const mine = queries.of(rank);
                bool const overlaps =
                    mine.count > 0 && mine.begin < group.end() && group.begin < mine.end();
                users += overlaps ? 1 : 0;
            }
            EXPECT_EQ(count[kv * weight.rows_or_cols_per_unit * weight.cols], users);
        }
    });
}

TEST(RegionsOf, CoverEverythingOnEveryRankUnderReplicate) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        Region const whole{{0, weight.rows}, {0, weight.cols}};
        EXPECT_THAT(regions_of(weight, module.units, Placement::replicate, ranks), Each(whole));
    });
}

TEST(RegionsOf, AreEmptyOnRanksWithoutUnits) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        auto const regions = regions_of(weight, module.units, Placement::shard, ranks);
        for (std::size_t rank = module.units; rank < regions.size(); ++rank) {
            EXPECT_EQ(regions[rank], Region{});
        }
    });
}

TEST(RegionsOf, HoldABiasOfARowParallelLayerOnRankZeroAlone) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        if (weight.role != Role::output_bias && weight.role != Role::down_bias) return;
        auto const regions = regions_of(weight, module.units, Placement::shard, ranks);
        EXPECT_EQ(regions[0], (Region{{0, weight.rows}, {0, 1}}));
        for (std::size_t rank = 1; rank < regions.size(); ++rank) {
            EXPECT_EQ(regions[rank], Region{});
        }
    });
}

// By hand: 6 query heads over 4 ranks are 2, 2, 1, 1; with 3 kv heads of 6 rows each, heads 0-1
// read kv head 0, heads 2-3 kv head 1, head 4 and head 5 both kv head 2.
TEST(RegionsOf, GiveKvHeadsToTheRanksThatReadThem) {
    auto const attention = describe_modules(tiny_decoder())[2];
    auto const rows_of = [&](std::size_t index) {
        std::vector<parallel::Range> rows;
        for (auto const& region :
             regions_of(attention.weights[index], attention.units, Placement::shard, 4)) {
            rows.push_back(region.rows);
        }
        return rows;
    };
    using Ranges = std::vector<parallel::Range>;
    EXPECT_EQ(rows_of(0), (Ranges{{0, 12}, {12, 12}, {24, 6}, {30, 6}}));
    EXPECT_EQ(rows_of(1), (Ranges{{0, 6}, {6, 6}, {12, 6}, {12, 6}}));
    EXPECT_EQ(rows_of(2), rows_of(1));
}

TEST(RegionsOf, AreWholeOnTheRanksThatHaveTheModule) {
    for_every_weight([](ModuleSpec const& module, WeightSpec const& weight, int ranks) {
        Region const whole{{0, weight.rows}, {0, weight.cols}};
        EXPECT_THAT(regions_of(weight, module.units, Placement::split_batch, ranks), Each(whole));
        auto const single = regions_of(weight, module.units, Placement::single(ranks - 1), ranks);
        EXPECT_EQ(single.back(), whole);
        for (std::size_t rank = 0; rank + 1 < single.size(); ++rank) {
            EXPECT_EQ(single[rank], Region{});
        }
    });
}

TEST(PlacementPlan, DemandsAKnownModule) {
    auto const plan = make_plan(describe_modules(tiny_decoder()), "shard", 2);
    EXPECT_THROW(static_cast<void>(plan.of("layers.2.mlp")), kernels::LogicError);
}

TEST(Placement, HasANameThatLeadsBack) {
    for (auto const placement : {Placement::shard, Placement::replicate, Placement::split_batch,
                                 Placement::single(0), Placement::single(12)}) {
        EXPECT_EQ(placement_from_name(name_of(placement)), placement);
    }
    EXPECT_EQ(name_of(Placement::single(12)), "single:12");
}

}  // namespace
}  // namespace tesserank::model
