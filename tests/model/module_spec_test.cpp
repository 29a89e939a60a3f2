#include "model/module_spec.hpp"

#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using test::json;
using test::tiny_config;
using test::tiny_decoder;
using test::with;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Shape = std::vector<std::size_t>;

std::map<std::string, Shape> shapes_of(DecoderConfig const& config) {
    std::map<std::string, Shape> shapes;
    for (auto const& [name, info] : test::tensors_of(config)) shapes[name] = info.shape;
    return shapes;
}

/// Hidden 64, intermediate 96, 4 heads on 2 kv heads of 16, vocabulary 100, here with one layer.
DecoderConfig one_layer_of(char const* model_type) {
    return describe_model(json(with(tiny_config(model_type), {{"num_hidden_layers", 1}})));
}

std::map<std::string, Shape> const plain_tensors{
    {"model.embed_tokens.weight", {100, 64}},
    {"model.layers.0.input_layernorm.weight", {64}},
    {"model.layers.0.self_attn.q_proj.weight", {64, 64}},
    {"model.layers.0.self_attn.k_proj.weight", {32, 64}},
    {"model.layers.0.self_attn.v_proj.weight", {32, 64}},
    {"model.layers.0.self_attn.o_proj.weight", {64, 64}},
    {"model.layers.0.post_attention_layernorm.weight", {64}},
    {"model.layers.0.mlp.gate_proj.weight", {96, 64}},
    {"model.layers.0.mlp.up_proj.weight", {96, 64}},
    {"model.layers.0.mlp.down_proj.weight", {64, 96}},
    {"model.norm.weight", {64}},
    {"lm_head.weight", {100, 64}}};

std::map<std::string, Shape> plain_tensors_and(std::map<std::string, Shape> const& more) {
    auto all = plain_tensors;
    all.insert(more.begin(), more.end());
    return all;
}

TEST(DescribeModules, NamesTheTensorsOfLlamaAndMistral) {
    EXPECT_EQ(shapes_of(one_layer_of("llama")), plain_tensors);
    EXPECT_EQ(shapes_of(one_layer_of("mistral")), plain_tensors);
}

TEST(DescribeModules, NamesTheBiasesOfQwen2) {
    EXPECT_EQ(shapes_of(one_layer_of("qwen2")),
              plain_tensors_and({{"model.layers.0.self_attn.q_proj.bias", {64}},
                                 {"model.layers.0.self_attn.k_proj.bias", {32}},
                                 {"model.layers.0.self_attn.v_proj.bias", {32}}}));
}

TEST(DescribeModules, NamesTheHeadNormsOfQwen3) {
    EXPECT_EQ(shapes_of(one_layer_of("qwen3")),
              plain_tensors_and({{"model.layers.0.self_attn.q_norm.weight", {16}},
                                 {"model.layers.0.self_attn.k_norm.weight", {16}}}));
}

TEST(DescribeModules, NamesEveryBiasOfLlama) {
    auto config = one_layer_of("llama");
    config.qkv_bias = config.output_bias = config.mlp_bias = true;
    EXPECT_EQ(shapes_of(config), plain_tensors_and({{"model.layers.0.self_attn.q_proj.bias", {64}},
                                                    {"model.layers.0.self_attn.k_proj.bias", {32}},
                                                    {"model.layers.0.self_attn.v_proj.bias", {32}},
                                                    {"model.layers.0.self_attn.o_proj.bias", {64}},
                                                    {"model.layers.0.mlp.gate_proj.bias", {96}},
                                                    {"model.layers.0.mlp.up_proj.bias", {96}},
                                                    {"model.layers.0.mlp.down_proj.bias", {64}}}));
}

TEST(DescribeModules, GivesTheLmHeadOfATiedModelTheEmbeddingsTensor) {
    auto config = one_layer_of("llama");
    config.tied_embeddings = true;
    EXPECT_FALSE(shapes_of(config).contains("lm_head.weight"));
    auto const modules = describe_modules(config);
    EXPECT_EQ(modules.back().name, "lm_head");
    EXPECT_EQ(modules.back().weights.front().tensor, "model.embed_tokens.weight");
}

TEST(DescribeModules, ListsTheModulesInTheOrderOfComputation) {
    std::vector<std::string> names;
    for (auto const& module : describe_modules(tiny_decoder())) names.push_back(module.name);
    EXPECT_THAT(names, ElementsAre("embedding", "layers.0.attention_norm", "layers.0.attention",
                                   "layers.0.mlp_norm", "layers.0.mlp", "layers.1.attention_norm",
                                   "layers.1.attention", "layers.1.mlp_norm", "layers.1.mlp",
                                   "norm", "lm_head"));
}

TEST(DescribeModules, CountsUnitsThatACutNeverSplits) {
    std::map<std::string, std::size_t> units;
    for (auto const& module : describe_modules(tiny_decoder())) units[module.name] = module.units;
    EXPECT_EQ(units["embedding"], 37);
    EXPECT_EQ(units["lm_head"], 37);
    EXPECT_EQ(units["layers.1.attention"], 6);
    EXPECT_EQ(units["layers.1.mlp"], 29);
}

TEST(DescribeModules, StacksQkvAndGateUpInTheOrderThatTheModulesRead) {
    std::map<Role, std::vector<std::string>> stacks;
    auto config = tiny_decoder();
    config.qkv_bias = true;
    for (auto const& module : describe_modules(config)) {
        if (!module.name.starts_with("layers.0")) continue;
        for (auto const& weight : module.weights) stacks[weight.role].push_back(weight.tensor);
    }
    std::string const attention = "model.layers.0.self_attn.", mlp = "model.layers.0.mlp.";
    EXPECT_THAT(stacks[Role::qkv],
                ElementsAre(attention + "q_proj.weight", attention + "k_proj.weight",
                            attention + "v_proj.weight"));
    EXPECT_THAT(stacks[Role::qkv_bias],
                ElementsAre(attention + "q_proj.bias", attention + "k_proj.bias",
                            attention + "v_proj.bias"));
    EXPECT_THAT(stacks[Role::gate_up],
                ElementsAre(mlp + "gate_proj.weight", mlp + "up_proj.weight"));
}

TEST(DescribeModules, KeepsNormsWholeAndAddsRowParallelBiasesOnce) {
    auto config = tiny_decoder();
    config.output_bias = config.mlp_bias = true;
    config.qk_norm = QkNorm::heads;
    std::map<Role, Cut> cuts;
    for (auto const& module : describe_modules(config)) {
        for (auto const& weight : module.weights) cuts[weight.role] = weight.cut;
    }
    EXPECT_THAT(cuts, UnorderedElementsAre(
                          Pair(Role::table, Cut::rows), Pair(Role::norm, Cut::none),
                          Pair(Role::qkv, Cut::rows), Pair(Role::query_norm, Cut::none),
                          Pair(Role::key_norm, Cut::none), Pair(Role::output, Cut::cols),
                          Pair(Role::output_bias, Cut::first_rank), Pair(Role::gate_up, Cut::rows),
                          Pair(Role::gate_up_bias, Cut::rows), Pair(Role::down, Cut::cols),
                          Pair(Role::down_bias, Cut::first_rank)));
}

}  // namespace
}  // namespace tesserank::model
