#include "model/weight_store.hpp"

#include "kernels/rows.hpp"
#include "tests/model/support_config.hpp"
#include "tests/model/support_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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

std::string const attention_prefix = "model.layers.0.self_attn.";

/// One rank's store over pseudo-random weights, and the modules that ask for them.
struct Fixture {
    Fixture(DecoderConfig config, PseudoWeights weights, int rank, int ranks,
            WeightFormat format = WeightFormat::file)
        : modules{describe_modules(config)},
          source{std::move(weights)},
          store{*backend, source, rank, ranks, format} {}

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

TEST(WeightStore, QuantisesARanksPartOfALinearLayer) {
    auto const config = biased_decoder();
    Fixture fixture(config, PseudoWeights(test::tensors_of(config, DType::bf16), 1), 1, 4,
                    WeightFormat::fp8);
    auto const output = fixture.store.add_linear(fixture.attention(), Role::output,
                                                 Role::output_bias, Placement::shard);
    ASSERT_EQ(output.weight.dtype, DType::f8e4m3);
    ASSERT_EQ(output.weight.rows, config.hidden);
    ASSERT_EQ(output.weight.cols, 12);
    ASSERT_EQ(output.scales.cols, config.hidden);
    EXPECT_EQ(fixture.store.bytes(), config.hidden * (12 + 4));
    fixture.store.prepare_load();
    fixture.store.load();
    for (std::size_t r = 0; r < config.hidden; ++r) {
        float const scale = output.scales.row<float>(0)[r];
        float largest = 0.0F;
        for (std::size_t c = 0; c < 12; ++c) {
            float const stored = fixture.source.at(attention_prefix + "o_proj.weight", r, 12 + c);
            float const held = kernels::to_float(output.weight.row<kernels::Float8>(r)[c]) * scale;
            largest = std::max(largest, std::abs(stored));
            // Half a unit in the last of 3 bits, or of the smallest number.
            EXPECT_NEAR(held, stored, std::max(std::abs(stored) / 16, scale * 0x1p-10F));
        }
        EXPECT_FLOAT_EQ(scale * 448, largest);
    }
}

/// Says which tensors come together.
class ListedLoads final : public WeightSource {
  public:
    explicit ListedLoads(PseudoWeights source) : source_{std::move(source)} {}
    std::map<std::string, TensorInfo, std::less<>> const& tensors() const override {
        return source_.tensors();
    }
    void load(std::span<WeightRequest const> requests) override {
        auto& names = loads.emplace_back();
        for (auto const& request : requests) names.push_back(request.tensor);
        source_.load(requests);
    }
    std::vector<std::vector<std::string>> loads;

  private:
    PseudoWeights source_;
};

std::vector<std::vector<std::string>> loads_on(int rank, int ranks) {
    auto const config = biased_decoder();
    auto const modules = describe_modules(config);
    auto const backend = kernels::make_reference_backend();
    ListedLoads source(PseudoWeights(test::tensors_of(config), rank));
    WeightStore store(*backend, source, rank, ranks, WeightFormat::fp8);
    store.add_linear(modules[2], Role::qkv, Role::qkv_bias, Placement::shard);
    store.add_linear(modules[2], Role::output, Role::output_bias, Placement::shard);
    store.add_linear(modules[4], Role::gate_up, Role::gate_up_bias, Placement::shard);
    store.prepare_load();
    store.load();
    return source.loads;
}

TEST(WeightStore, LoadsWhatItQuantisesModuleByModuleOnAllRanksAlike) {
    auto const loads = loads_on(0, 8);
    std::string const mlp = "model.layers.0.mlp.";
    ASSERT_THAT(loads, ::testing::SizeIs(3));
    EXPECT_THAT(loads[0], ::testing::ElementsAre(
                              attention_prefix + "q_proj.bias", attention_prefix + "k_proj.bias",
                              attention_prefix + "v_proj.bias", attention_prefix + "o_proj.bias"));
    EXPECT_THAT(loads[1], ::testing::ElementsAre(attention_prefix + "q_proj.weight",
                                                 attention_prefix + "k_proj.weight",
                                                 attention_prefix + "v_proj.weight",
                                                 attention_prefix + "o_proj.weight"));
    EXPECT_THAT(loads[2], ::testing::ElementsAre(mlp + "gate_proj.weight", mlp + "up_proj.weight"));
    EXPECT_EQ(loads_on(7, 8), loads) << "a rank without heads";
}

TEST(WeightStore, QuantisesDifferentDtypesInOneModule) {
    auto const config = biased_decoder();
    auto tensors = test::tensors_of(config, DType::bf16);
    tensors[attention_prefix + "o_proj.weight"].dtype = DType::f32;
    // One query head and its kv head of 6 rows, with 20 columns; 6 columns of the output.
    Fixture fixture(config, PseudoWeights(tensors, 0), 0, 6, WeightFormat::fp8);
    auto const qkv =
        fixture.store.add_linear(fixture.attention(), Role::qkv, Role::qkv_bias, Placement::shard);
    auto const output = fixture.store.add_linear(fixture.attention(), Role::output,
                                                 Role::output_bias, Placement::shard);
    fixture.store.prepare_load();
    fixture.store.load();
    for (auto const& [weights, tensor] : {std::pair(qkv, attention_prefix + "q_proj.weight"),
                                          std::pair(output, attention_prefix + "o_proj.weight")}) {
        float const scale = weights.scales.row<float>(0)[5];
        float const held = kernels::to_float(weights.weight.row<kernels::Float8>(5)[3]) * scale;
        float const stored = fixture.source.at(tensor, 5, 3);
        EXPECT_NEAR(held, stored, std::max(std::abs(stored) / 16, scale * 0x1p-10F)) << tensor;
    }
}

TEST(WeightStore, HasNoScalesWhereItHoldsNothing) {
    auto const config = biased_decoder();
    Fixture fixture(config, PseudoWeights(test::tensors_of(config), 7), 7, 8, WeightFormat::fp8);
    auto const output = fixture.store.add_linear(fixture.attention(), Role::output,
                                                 Role::output_bias, Placement::shard);
    EXPECT_EQ(output.weight.rows, config.hidden);
    EXPECT_EQ(output.weight.cols, 0);
    EXPECT_NE(output.weight.dtype, DType::f8e4m3) << "which no operation takes without scales";
    EXPECT_EQ(output.scales.data, nullptr);
    EXPECT_EQ(fixture.store.bytes(), 0);
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

}  // namespace
}  // namespace tesserank::model
