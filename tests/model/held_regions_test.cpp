#include "model/held_regions.hpp"

#include "model/placement_rules.hpp"
#include "tests/model/support_decoders.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tesserank::model {
namespace {

using test::tiny_decoder;

constexpr int ranks = 3;

std::map<std::string, HeldTensor, std::less<>> held(DecoderConfig const& config,
                                                    std::string_view wish) {
    return tensors_held(config, make_plan(describe_modules(config), wish, ranks));
}

TEST(HeldRegions, ReplicatedTensorsAreWholeEverywhere) {
    for (auto const& decoder : test::decoders()) {
        for (auto const& [name, tensor] : held(decoder.config, "replicate")) {
            EXPECT_TRUE(tensor.whole_everywhere()) << decoder.name << ": " << name;
        }
    }
}

TEST(HeldRegions, RowsOfAShardedTableAddUp) {
    auto const config = tiny_decoder();
    auto const tensors = held(config, "shard");
    auto const& table = tensors.at(config.names.lm_head);
    EXPECT_FALSE(table.whole_everywhere());
    EXPECT_EQ(table.rows, config.vocabulary);
    std::size_t rows = 0;
    for (auto const& held : table.regions) rows += held.front().rows.count;
    EXPECT_EQ(rows, config.vocabulary);
}

TEST(HeldRegions, OneRankHoldsASingleModule) {
    auto const config = tiny_decoder();
    auto const tensors = held(config, "lm_head=single:1");
    auto const& regions = tensors.at(config.names.lm_head).regions;
    EXPECT_EQ(regions[1], (std::vector{Region{{0, config.vocabulary}, {0, config.hidden}}}));
    EXPECT_TRUE(regions[0].empty());
    EXPECT_TRUE(regions[2].empty());
}

TEST(HeldRegions, ATiedTableHasWhatEitherUseNeeds) {
    auto config = tiny_decoder();
    config.tied_embeddings = true;
    auto const modules = describe_modules(config);
    auto const& name = modules.front().weights.front().tensor;
    auto const tensors = held(config, "embedding=shard,lm_head=single:2");
    auto const& regions = tensors.at(name).regions;
    EXPECT_EQ(regions[2].front().rows.count, config.vocabulary);
    EXPECT_LT(regions[0].front().rows.count, config.vocabulary);
    EXPECT_GT(regions[0].front().rows.count, 0U);
}

}  // namespace
}  // namespace tesserank::model
