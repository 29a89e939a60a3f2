#include "model/held_regions.hpp"
#include "model/placement_rules.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

// q, k and v that are one tensor in the file: each rank must hold the same rows, stacked in the
// same order, as where they are three.

namespace tesserank::model {
namespace {

constexpr int most_ranks = 8;

/// A row of q, k or v as the unfused layout has it: which of the three, and its number there.
using Row = std::pair<std::size_t, std::size_t>;

/// The rows of q, k and v that a rank stacks, in order. `origin` says what a row of a tensor is.
template <class Origin>
std::vector<Row> stacked(ModuleSpec const& module, Role role, Placement placement, int rank,
                         int ranks, Origin const& origin) {
    std::vector<Row> rows;
    std::size_t part = 0;
    for (auto const& weight : module.weights) {
        if (weight.role != role) continue;
        auto const held =
            regions_of(weight, module.units, placement, ranks)[static_cast<std::size_t>(rank)];
        for (std::size_t row = held.rows.begin; row < held.rows.end(); ++row) {
            rows.push_back(origin(part, row));
        }
        ++part;
    }
    return rows;
}

/// Calls check with a placement, a rank and a number of ranks.
template <class Check>
void for_every_rank(Check const& check) {
    for (int ranks = 1; ranks <= most_ranks; ++ranks) {
        for (int rank = 0; rank < ranks; ++rank) {
            for (auto const placement :
                 {Placement::shard, Placement::replicate, Placement::single(ranks - 1)}) {
                SCOPED_TRACE(name_of(placement) + ", rank " + std::to_string(rank) + " of " +
                             std::to_string(ranks));
                check(placement, rank, ranks);
            }
        }
    }
}

constexpr auto as_it_is = [](std::size_t part, std::size_t row) { return Row{part, row}; };

TEST(Slices, OfTheEncodersQkvStackLikeThreeTensors) {
    auto const fused = describe_vision(test::vision_decoder())[2];
    auto const apart = describe_vision(test::vision_decoder(test::tiny_internvl()))[2];
    for_every_rank([&](Placement placement, int rank, int ranks) {
        for (auto const role : {Role::qkv, Role::qkv_bias}) {
            EXPECT_EQ(stacked(fused, role, placement, rank, ranks,
                              [](std::size_t /*part*/, std::size_t row) {
                                  return Row{row / 20, row % 20};
                              }),
                      stacked(apart, role, placement, rank, ranks, as_it_is));
        }
    });
}

DecoderConfig decoder_with(std::size_t query_heads, std::size_t kv_heads) {
    auto config = test::tiny_decoder();
    config.query_heads = query_heads;
    config.kv_heads = kv_heads;
    config.qkv_bias = true;
    return config;
}

TEST(Slices, OfInterleavedQkvStackLikeThreeTensors) {
    for (auto const& [query_heads, kv_heads] :
         {std::pair<std::size_t, std::size_t>{6, 3}, {5, 1}, {4, 4}, {12, 2}}) {
        auto config = decoder_with(query_heads, kv_heads);
        auto const apart = describe_text(config)[2];
        config.names.qkv = "attention.wqkv";
        auto const fused = describe_text(config)[2];
        // For each kv head: its query heads, k, v.
        std::size_t const dim = config.head_dim, queries = config.queries_per_kv();
        auto const origin = [&](std::size_t /*part*/, std::size_t row) {
            std::size_t const block = row / ((queries + 2) * dim);
            std::size_t const within = row % ((queries + 2) * dim);
            if (within < queries * dim) return Row{0, block * queries * dim + within};
            return Row{within / dim - queries + 1, block * dim + within % dim};
        };
        for_every_rank([&](Placement placement, int rank, int ranks) {
            for (auto const role : {Role::qkv, Role::qkv_bias}) {
                EXPECT_EQ(stacked(fused, role, placement, rank, ranks, origin),
                          stacked(apart, role, placement, rank, ranks, as_it_is))
                    << query_heads << "/" << kv_heads << " heads";
            }
        });
    }
}

TEST(Slices, CoverTheRowsOfTheirTensorOnce) {
    auto config = decoder_with(6, 3);
    config.names.qkv = "attention.wqkv";
    config.vision = test::vision_decoder().vision;
    auto const held = tensors_held(config, make_plan(describe_modules(config), "replicate", 3));
    for (auto const& [name, tensor] : held) {
        EXPECT_TRUE(tensor.whole_everywhere()) << name;
    }
    EXPECT_TRUE(held.contains("model.layers.0.attention.wqkv.weight"));
    EXPECT_EQ(held.at("model.layers.0.attention.wqkv.weight").rows, 12 * config.head_dim);
}

// 5 heads of 4 rows over 2 ranks are 3 and 2.
TEST(Slices, OfOneTensorAreSeveralRegionsOfARank) {
    auto const config = test::vision_decoder();
    auto const held = tensors_held(config, make_plan(describe_modules(config), "shard", 2));
    auto const& qkv = held.at("vision_model.encoder.layers.0.attn.qkv.weight");
    EXPECT_EQ(qkv.regions[0], (std::vector{Region{{0, 12}, {0, 20}}, Region{{20, 12}, {0, 20}},
                                           Region{{40, 12}, {0, 20}}}));
    EXPECT_EQ(qkv.regions[1], (std::vector{Region{{12, 8}, {0, 20}}, Region{{32, 8}, {0, 20}},
                                           Region{{52, 8}, {0, 20}}}));
    EXPECT_FALSE(qkv.whole_everywhere());
}

}  // namespace
}  // namespace tesserank::model
