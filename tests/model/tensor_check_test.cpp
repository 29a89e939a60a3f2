#include "model/tensor_check.hpp"

#include "tests/model/support_model.hpp"
#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::model {
namespace {

using kernels::DType;
using test::input_error_of;
using test::PseudoWeights;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(DecoderConfig const& config,
                    std::initializer_list<char const*> more_tensors = {}) {
    auto tensors = test::tensors_of(config);
    for (auto const* name : more_tensors) tensors[name] = {DType::f32, {3}};
    PseudoWeights const source(tensors, 0);
    return input_error_of([&] { refuse_unknown_tensors(config, source); });
}

TEST(TensorCheck, NamesTensorsThatNoModuleNeeds) {
    EXPECT_THAT(refusal(test::tiny_decoder(), {"model.layers.0.self_attn.gate.weight",
                                               "model.layers.2.mlp.up_proj.weight"}),
                AllOf(HasSubstr("model.layers.0.self_attn.gate.weight"),
                      HasSubstr("model.layers.2.mlp.up_proj.weight"), Not(HasSubstr("q_proj"))));
}

TEST(TensorCheck, LeavesOutOldFrequencies) {
    EXPECT_EQ(refusal(test::tiny_decoder(), {"model.layers.0.self_attn.rotary_emb.inv_freq"}),
              "no InputError");
}

TEST(TensorCheck, LeavesOutTheHeadOfTiedEmbeddingsAlone) {
    auto config = test::tiny_decoder();
    config.tied_embeddings = true;
    EXPECT_EQ(refusal(config, {"lm_head.weight"}), "no InputError");
    EXPECT_THAT(refusal(config, {"lm_head.bias"}), HasSubstr("lm_head.bias"));
}

TEST(TensorCheck, LeavesOutLayersBehindTheSelectedOneAlone) {
    auto const config =
        test::vision_decoder(test::with(test::tiny_internvl_chat(), {{"select_layer", -2}}));
    std::string const layers = "vision_model.encoder.layers.";
    EXPECT_EQ(refusal(config, {"vision_model.encoder.layers.2.mlp.fc1.weight"}), "no InputError");
    EXPECT_THAT(refusal(config, {"vision_model.encoder.layers.3.ls1"}),
                HasSubstr(layers + "3.ls1"));
    EXPECT_THAT(refusal(config, {"vision_model.encoder.layers.1.ls3"}),
                HasSubstr(layers + "1.ls3"));
    EXPECT_THAT(refusal(config, {"vision_model.encoder.layers.2"}), HasSubstr(layers + "2"));
}

}  // namespace
}  // namespace tesserank::model
