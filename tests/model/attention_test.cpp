#include "model/attention.hpp"

#include "tests/model/support_model.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace tesserank::model {
namespace {

using parallel::Range;
using test::tiny_decoder;

template <class Check>
void for_every_rank(Check const& check) {
    using Heads = std::pair<std::size_t, std::size_t>;
    for (auto const& [query, kv] :
         {Heads{6, 3}, {5, 1}, {4, 2}, {4, 4}, {2, 1}, {25, 5}, {12, 2}}) {
        auto config = tiny_decoder();
        config.query_heads = query;
        config.kv_heads = kv;
        for (int ranks = 1; ranks <= 8; ++ranks) {
            for (int rank = 0; rank < ranks; ++rank) {
                SCOPED_TRACE(std::to_string(query) + "/" + std::to_string(kv) + " heads, rank " +
                             std::to_string(rank) + " of " + std::to_string(ranks));
                check(config, rank, ranks);
            }
        }
    }
}

TEST(LocalHeads, AreTheRowsThatTheWeightsHave) {
    for_every_rank([](DecoderConfig const& config, int rank, int ranks) {
        for (auto const placement : {Placement::shard, Placement::replicate}) {
            auto const heads = local_heads(config, placement, rank, ranks);
            auto const attention = describe_modules(config)[2];
            auto const rows_of = [&](std::size_t weight) {
                return regions_of(attention.weights[weight], attention.units, placement,
                                  ranks)[static_cast<std::size_t>(rank)]
                    .rows;
            };
            auto const in_rows = [&](Range range) {
                return Range{range.begin * config.head_dim, range.count * config.head_dim};
            };
            EXPECT_EQ(rows_of(0), in_rows(heads.query));
            EXPECT_EQ(rows_of(1), in_rows(heads.kv));
            EXPECT_EQ(rows_of(2), in_rows(heads.kv));
        }
    });
}

/// The first local query head must find its kv head at local index first_query / queries_per_kv,
/// and the last one must too.
TEST(LocalHeads, HoldTheKvHeadOfEachQueryHead) {
    for_every_rank([](DecoderConfig const& config, int rank, int ranks) {
        auto const heads = local_heads(config, Placement::shard, rank, ranks);
        std::size_t const group = config.queries_per_kv();
        if (heads.query.count == 0) {
            EXPECT_EQ(heads.kv.count, 0);
            return;
        }
        std::size_t const first_query = heads.query.begin - heads.kv.begin * group;
        EXPECT_LT(first_query, group);
        for (std::size_t local = 0; local < heads.query.count; ++local) {
            std::size_t const local_kv = (first_query + local) / group;
            ASSERT_LT(local_kv, heads.kv.count);
            EXPECT_EQ(heads.kv.begin + local_kv, (heads.query.begin + local) / group);
        }
        EXPECT_EQ((first_query + heads.query.count - 1) / group, heads.kv.count - 1)
            << "a kv head that no query head reads";
    });
}

TEST(LocalHeads, OfFiveHeadsOnOneKvHeadShareIt) {
    auto config = tiny_decoder();
    config.query_heads = 5;
    config.kv_heads = 1;
    auto const heads = local_heads(config, Placement::shard, 2, 4);
    EXPECT_EQ(heads.query, (Range{3, 1}));
    EXPECT_EQ(heads.kv, (Range{0, 1}));
}

}  // namespace
}  // namespace tesserank::model
