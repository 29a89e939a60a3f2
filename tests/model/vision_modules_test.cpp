#include "model/placement_rules.hpp"
#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using ::testing::ElementsAre;
using Shape = std::vector<std::size_t>;

ModuleSpec module_of(DecoderConfig const& config, std::string const& name) {
    auto const modules = describe_modules(config);
    return *std::ranges::find(modules, name, &ModuleSpec::name);
}

DecoderConfig one_layer(test::Object const& config = test::tiny_internvl_chat()) {
    auto decoder = test::vision_decoder(config);
    decoder.vision->layers = 1;
    return decoder;
}

std::map<std::string, Shape> vision_shapes(DecoderConfig const& config) {
    std::map<std::string, Shape> shapes;
    for (auto const& module : describe_vision(config)) {
        for (auto const& weight : module.weights) shapes[weight.tensor] = weight.shape_in_file();
    }
    return shapes;
}

// As in the checkpoints under tests/golden/models.
TEST(DescribeVision, NamesTheTensorsOfTheOriginalLayout) {
    std::string const embeddings = "vision_model.embeddings.";
    std::string const layer = "vision_model.encoder.layers.0.";
    EXPECT_EQ(vision_shapes(one_layer()),
              (std::map<std::string, Shape>{{embeddings + "patch_embedding.weight", {20, 3, 7, 7}},
                                            {embeddings + "patch_embedding.bias", {20}},
                                            {embeddings + "class_embedding", {1, 1, 20}},
                                            {embeddings + "position_embedding", {1, 17, 20}},
                                            {layer + "norm1.weight", {20}},
                                            {layer + "norm1.bias", {20}},
                                            {layer + "ls1", {20}},
                                            {layer + "attn.qkv.weight", {60, 20}},
                                            {layer + "attn.qkv.bias", {60}},
                                            {layer + "attn.proj.weight", {20, 20}},
                                            {layer + "attn.proj.bias", {20}},
                                            {layer + "norm2.weight", {20}},
                                            {layer + "norm2.bias", {20}},
                                            {layer + "ls2", {20}},
                                            {layer + "mlp.fc1.weight", {36, 20}},
                                            {layer + "mlp.fc1.bias", {36}},
                                            {layer + "mlp.fc2.weight", {20, 36}},
                                            {layer + "mlp.fc2.bias", {20}},
                                            {"mlp1.0.weight", {80}},
                                            {"mlp1.0.bias", {80}},
                                            {"mlp1.1.weight", {64, 80}},
                                            {"mlp1.1.bias", {64}},
                                            {"mlp1.3.weight", {64, 64}},
                                            {"mlp1.3.bias", {64}}}));
}

TEST(DescribeVision, NamesTheTensorsThatTransformersHas) {
    std::string const layer = "vision_tower.encoder.layer.0.";
    auto const shapes = vision_shapes(one_layer(test::tiny_internvl()));
    EXPECT_EQ(shapes.size(), 28);
    for (auto const* name : {"q_proj", "k_proj", "v_proj", "projection_layer"}) {
        EXPECT_EQ(shapes.at(layer + "attention." + name + ".weight"), (Shape{20, 20})) << name;
        EXPECT_EQ(shapes.at(layer + "attention." + name + ".bias"), (Shape{20})) << name;
    }
    EXPECT_EQ(shapes.at(layer + "lambda_1"), (Shape{20}));
    EXPECT_EQ(shapes.at(layer + "layernorm_before.bias"), (Shape{20}));
    EXPECT_EQ(shapes.at(layer + "layernorm_after.weight"), (Shape{20}));
    EXPECT_EQ(shapes.at("vision_tower.embeddings.cls_token"), (Shape{1, 1, 20}));
    EXPECT_EQ(shapes.at("multi_modal_projector.linear_1.weight"), (Shape{64, 80}));
}

TEST(DescribeVision, HasNoBiasesWhereTheNormsAreRms) {
    auto config = one_layer();
    config.vision->norm = VisionConfig::Norm::rms;
    config.vision->qkv_bias = false;
    config.vision->qk_norm = QkNorm::whole;
    auto const shapes = vision_shapes(config);
    std::string const layer = "vision_model.encoder.layers.0.";
    EXPECT_FALSE(shapes.contains(layer + "norm1.bias"));
    EXPECT_FALSE(shapes.contains(layer + "attn.qkv.bias"));
    EXPECT_EQ(shapes.at(layer + "attn.q_norm.weight"), (Shape{20}));
    EXPECT_EQ(shapes.at(layer + "attn.k_norm.weight"), (Shape{20}));
    EXPECT_TRUE(shapes.contains(layer + "attn.proj.bias"));
}

TEST(DescribeVision, TakesTheTablesSideForPositions) {
    auto config = one_layer();
    config.vision->side = 42;
    EXPECT_EQ(vision_shapes(config).at("vision_model.embeddings.position_embedding"),
              (Shape{1, 17, 20}));
}

TEST(DescribeModules, ListTheEncoderBeforeTheTextModel) {
    std::vector<std::string> names;
    for (auto const& module : describe_modules(one_layer())) names.push_back(module.name);
    ASSERT_GT(names.size(), 7);
    names.resize(7);
    EXPECT_THAT(names, ElementsAre("vision.embedding", "vision.layers.0.attention_norm",
                                   "vision.layers.0.attention", "vision.layers.0.mlp_norm",
                                   "vision.layers.0.mlp", "vision.projector", "embedding"));
    EXPECT_TRUE(is_vision(names[5]));
    EXPECT_FALSE(is_vision(names[6]));
    EXPECT_TRUE(describe_vision(test::tiny_decoder()).empty());
}

TEST(DescribeModules, CountTheEncodersUnits) {
    auto const config = one_layer();
    EXPECT_EQ(module_of(config, "vision.embedding").units, 20);
    EXPECT_EQ(module_of(config, "vision.layers.0.attention").units, 5);
    EXPECT_EQ(module_of(config, "vision.layers.0.mlp").units, 36);
    EXPECT_EQ(module_of(config, "vision.projector").units, 64);
}

/// By role: this rank's region of each weight of a module.
std::map<Role, std::vector<Region>> share(DecoderConfig const& config, std::string const& name,
                                          int rank, int ranks) {
    auto const module = module_of(config, name);
    std::map<Role, std::vector<Region>> regions;
    for (auto const& weight : module.weights) {
        regions[weight.role].push_back(regions_of(weight, module.units, Placement::shard,
                                                  ranks)[static_cast<std::size_t>(rank)]);
    }
    return regions;
}

// 20 columns over 3 ranks are 7, 7, 6.
TEST(DescribeVision, CutsThePatchEmbeddingByColumn) {
    auto const held = share(one_layer(), "vision.embedding", 1, 3);
    EXPECT_THAT(held.at(Role::patch), ElementsAre(Region{{7, 7}, {0, 147}}));
    EXPECT_THAT(held.at(Role::patch_bias), ElementsAre(Region{{7, 7}, {0, 1}}));
    EXPECT_THAT(held.at(Role::class_token), ElementsAre(Region{{0, 1}, {7, 7}}));
    EXPECT_THAT(held.at(Role::positions), ElementsAre(Region{{0, 17}, {7, 7}}));
    EXPECT_EQ(output_of(Placement::shard, ModuleKind::patch_embedding).kind,
              parallel::LayoutKind::Kind::hidden_sharded);
}

// 5 heads of 4 rows over 3 ranks are 2, 2, 1.
TEST(DescribeVision, CutsEachPartOfQkvByHeads) {
    auto config = one_layer();
    config.vision->qk_norm = QkNorm::whole;
    auto const held = share(config, "vision.layers.0.attention", 1, 3);
    EXPECT_THAT(held.at(Role::qkv), ElementsAre(Region{{8, 8}, {0, 20}}, Region{{28, 8}, {0, 20}},
                                                Region{{48, 8}, {0, 20}}));
    EXPECT_THAT(
        held.at(Role::qkv_bias),
        ElementsAre(Region{{8, 8}, {0, 1}}, Region{{28, 8}, {0, 1}}, Region{{48, 8}, {0, 1}}));
    EXPECT_THAT(held.at(Role::query_norm), ElementsAre(Region{{8, 8}, {0, 1}}));
    EXPECT_THAT(held.at(Role::output), ElementsAre(Region{{0, 20}, {8, 8}}));
    EXPECT_THAT(held.at(Role::output_bias), ElementsAre(Region{})) << "rank 0 alone adds it";
}

TEST(DescribeVision, CutsMlpAndProjectorByColumnsOfTheirMiddle) {
    auto const config = one_layer();
    auto const mlp = share(config, "vision.layers.0.mlp", 1, 3);
    EXPECT_THAT(mlp.at(Role::up), ElementsAre(Region{{12, 12}, {0, 20}}));
    EXPECT_THAT(mlp.at(Role::down), ElementsAre(Region{{0, 20}, {12, 12}}));
    auto const projector = share(config, "vision.projector", 2, 3);
    EXPECT_THAT(projector.at(Role::norm), ElementsAre(Region{{0, 80}, {0, 1}}));
    EXPECT_THAT(projector.at(Role::norm_bias), ElementsAre(Region{{0, 80}, {0, 1}}));
    EXPECT_THAT(projector.at(Role::up), ElementsAre(Region{{43, 21}, {0, 80}}));
    EXPECT_THAT(projector.at(Role::down), ElementsAre(Region{{0, 64}, {43, 21}}));
    EXPECT_THAT(projector.at(Role::down_bias), ElementsAre(Region{}));
}

}  // namespace
}  // namespace tesserank::model
