#include "model/weight_store.hpp"

#include "kernels/rows.hpp"
#include "tests/model/support_config.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using test::input_error_of;
using test::PseudoWeights;
using test::tiny_decoder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string const attention_prefix = "model.layers.0.self_attn.";

/// One rank's store over pseudo-random weights, and the modules that ask for them.
struct Fixture {
    Fixture(DecoderConfig config, PseudoWeights weights, int rank, int ranks)
        : modules{describe_modules(config)},
          source{std::move(weights)},
          store{*backend, source, rank, ranks} {}

    kernels::TensorView add_all(Placement placement = Placement::replicate) {
        for (auto const& module : modules) {
            for (auto const& weight : module.weights) store.add(module, weight.role, placement);
        }
        return {};
    }
    ModuleSpec const& attention() const { return modules[2]; }

    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    std::vector<ModuleSpec> modules;
    PseudoWeights source;
    WeightStore store;
};

DecoderConfig biased_decoder() {
    auto config = tiny_decoder();
    config.qkv_bias = config.output_bias = true;
    return config;
}

Fixture fixture_with(std::map<std::string, TensorInfo, std::less<>> const& tensors) {
    return {biased_decoder(), PseudoWeights(tensors, 0), 0, 1};
}

TEST(WeightStore, StacksARanksPartsOfQkv) {
    auto const config = biased_decoder();
    // Rank 1 of 4 has query heads 2 and 3, which read kv head 1; heads have 6 rows.
    Fixture fixture(config, PseudoWeights(test::tensors_of(config), 1), 1, 4);
    auto const qkv = fixture.store.add(fixture.attention(), Role::qkv, Placement::shard);
    auto const bias = fixture.store.add(fixture.attention(), Role::qkv_bias, Placement::shard);
    auto const output = fixture.store.add(fixture.attention(), Role::output, Placement::shard);
    fixture.store.load();

    ASSERT_EQ(qkv.rows, 24);
    ASSERT_EQ(qkv.cols, config.hidden);
    ASSERT_EQ(bias.cols, 24);
    auto const row_of = [](std::size_t row) {  // tensor and row in it
        if (row < 12) return std::pair(attention_prefix + "q_proj", 12 + row);
        if (row < 18) return std::pair(attention_prefix + "k_proj", 6 + row - 12);
        return std::pair(attention_prefix + "v_proj", 6 + row - 18);
    };
    for (std::size_t r = 0; r < qkv.rows; ++r) {
        auto const [name, row] = row_of(r);
        EXPECT_EQ(bias.row<float>(0)[r], fixture.source.at(name + ".bias", row, 0));
        for (std::size_t c = 0; c < qkv.cols; ++c) {
            EXPECT_EQ(qkv.row<float>(r)[c], fixture.source.at(name + ".weight", row, c));
        }
    }
    ASSERT_EQ(output.rows, config.hidden);
    ASSERT_EQ(output.cols, 12);
    EXPECT_EQ(output.row<float>(3)[5],
              fixture.source.at(attention_prefix + "o_proj.weight", 3, 12 + 5));
}

TEST(WeightStore, GivesASurplusRankNothingButTheUncutDimension) {
    auto const config = biased_decoder();
    Fixture fixture(config, PseudoWeights(test::tensors_of(config), 7), 7, 8);
    auto const qkv = fixture.store.add(fixture.attention(), Role::qkv, Placement::shard);
    auto const output = fixture.store.add(fixture.attention(), Role::output, Placement::shard);
    auto const bias = fixture.store.add(fixture.attention(), Role::output_bias, Placement::shard);
    EXPECT_EQ(qkv.rows, 0);
    EXPECT_EQ(qkv.cols, config.hidden);
    EXPECT_EQ(output.rows, config.hidden);
    EXPECT_EQ(output.cols, 0);
    EXPECT_EQ(bias.data, nullptr);
    EXPECT_EQ(fixture.store.bytes(), 0);
    EXPECT_NO_THROW(fixture.store.load());
}

TEST(WeightStore, GivesNoDataForARoleThatTheModuleLacks) {
    Fixture fixture(tiny_decoder(), PseudoWeights(test::tensors_of(tiny_decoder()), 0), 0, 1);
    EXPECT_EQ(fixture.store.add(fixture.attention(), Role::qkv_bias, Placement::shard).data,
              nullptr);
}

TEST(WeightStore, CountsItsBytes) {
    Fixture fixture(tiny_decoder(), PseudoWeights(test::tensors_of(tiny_decoder()), 0), 0, 1);
    fixture.store.add(fixture.attention(), Role::qkv, Placement::replicate);
    EXPECT_EQ(fixture.store.bytes(), (36 + 18 + 18) * 20 * 4);
}

TEST(WeightStore, KeepsTheDtypeOfTheFile) {
    auto const tensors = test::tensors_of(tiny_decoder(), DType::bf16);
    Fixture fixture(tiny_decoder(), PseudoWeights(tensors, 0), 0, 1);
    auto const output = fixture.store.add(fixture.attention(), Role::output, Placement::shard);
    fixture.store.load();
    ASSERT_EQ(output.dtype, DType::bf16);
    std::vector<float> row(output.cols);
    kernels::load_row(output, 2, row);
    EXPECT_EQ(row[7], fixture.source.at(attention_prefix + "o_proj.weight", 2, 7));
}

TEST(WeightStore, NamesAMissingTensor) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors.erase(attention_prefix + "k_proj.bias");
    auto fixture = fixture_with(tensors);
    EXPECT_THAT(input_error_of([&] { fixture.add_all(); }),
                AllOf(HasSubstr(attention_prefix + "k_proj.bias"), HasSubstr("missing")));
}

TEST(WeightStore, NamesATensorOfTheWrongShapeAndBothShapes) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors[attention_prefix + "v_proj.weight"].shape = {18, 21};
    auto fixture = fixture_with(tensors);
    EXPECT_THAT(input_error_of([&] { fixture.add_all(); }),
                AllOf(HasSubstr(attention_prefix + "v_proj.weight"), HasSubstr("[18, 21]"),
                      HasSubstr("[18, 20]")));
    tensors = test::tensors_of(biased_decoder());
    tensors["model.norm.weight"].shape = {20, 1};
    auto with_matrix = fixture_with(tensors);
    EXPECT_THAT(input_error_of([&] { with_matrix.add_all(); }),
                AllOf(HasSubstr("model.norm.weight"), HasSubstr("[20, 1]"), HasSubstr("[20]")));
}

TEST(WeightStore, RefusesDifferentDtypesInOneStack) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors["model.layers.1.mlp.up_proj.weight"].dtype = DType::bf16;
    auto fixture = fixture_with(tensors);
    EXPECT_THAT(input_error_of([&] { fixture.add_all(); }),
                AllOf(HasSubstr("gate_proj"), HasSubstr("up_proj"), HasSubstr("dtype")));
}

TEST(WeightStore, AcceptsDifferentDtypesInDifferentModules) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors["model.norm.weight"].dtype = DType::bf16;
    auto fixture = fixture_with(tensors);
    EXPECT_NO_THROW(fixture.add_all());
}

TEST(WeightStore, NamesTensorsThatNoModuleAskedFor) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors["model.layers.0.self_attn.gate.weight"] = {DType::f32, {3}};
    tensors["model.layers.2.mlp.up_proj.weight"] = {DType::f32, {29, 20}};
    auto fixture = fixture_with(tensors);
    fixture.add_all();
    EXPECT_THAT(input_error_of([&] { fixture.store.check_all_used({}); }),
                AllOf(HasSubstr("model.layers.0.self_attn.gate.weight"),
                      HasSubstr("model.layers.2.mlp.up_proj.weight"), Not(HasSubstr("q_proj"))));
}

TEST(WeightStore, LeavesOutOldFrequenciesAndKnownExtras) {
    auto tensors = test::tensors_of(biased_decoder());
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {DType::f32, {3}};
    tensors["extra"] = {DType::f32, {3}};
    auto fixture = fixture_with(tensors);
    fixture.add_all();
    EXPECT_NO_THROW(fixture.store.check_all_used(std::vector<std::string>{"extra"}));
}

}  // namespace
}  // namespace tesserank::model
