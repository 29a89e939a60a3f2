#include "model/architecture.hpp"

#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace tesserank::model {
namespace {

using test::input_error_of;
using test::json;
using test::Object;
using test::tiny_config;
using test::with;
using test::without;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(Object const& config) {
    return input_error_of([&] { describe_model(json(config)); });
}

class EveryFamily : public ::testing::TestWithParam<char const*> {};

TEST_P(EveryFamily, GivesTheSizesOfItsConfig) {
    auto const config = describe_model(json(tiny_config(GetParam())));
    EXPECT_EQ(config.model_type, GetParam());
    EXPECT_EQ(config.vocabulary, 100);
    EXPECT_EQ(config.hidden, 64);
    EXPECT_EQ(config.intermediate, 96);
    EXPECT_EQ(config.layers, 4);
    EXPECT_EQ(config.query_heads, 4);
    EXPECT_EQ(config.kv_heads, 2);
    EXPECT_EQ(config.queries_per_kv(), 2);
    EXPECT_EQ(config.head_dim, 16);
    EXPECT_EQ(config.context, 128);
    EXPECT_FLOAT_EQ(config.norm_eps, 1e-5F);
    EXPECT_EQ(config.activation, kernels::Activation::silu);
    EXPECT_FALSE(config.tied_embeddings);
    EXPECT_FALSE(config.output_bias);
    EXPECT_FALSE(config.mlp_bias);
    EXPECT_EQ(config.qkv_bias, config.model_type == "qwen2");
    EXPECT_EQ(config.qk_norm == QkNorm::heads, config.model_type == "qwen3");
    EXPECT_THAT(config.windows, ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(config.eos_ids, ElementsAre(7));
    EXPECT_EQ(config.rope.kind, RopeConfig::Kind::plain);
    EXPECT_EQ(config.rope.theta, 10000.0);
}

TEST_P(EveryFamily, RefusesAKeyThatItDoesNotKnow) {
    auto const message = refusal(with(tiny_config(GetParam()), {{"attention_sink", 4}}));
    EXPECT_THAT(message, AllOf(HasSubstr("config.json"), HasSubstr("attention_sink = 4")));
}

TEST_P(EveryFamily, NamesEachKeyThatIsMissing) {
    for (auto const* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "hidden_act", "rms_norm_eps", "model_type"}) {
        auto const message = refusal(without(tiny_config(GetParam()), key));
        EXPECT_THAT(message, AllOf(HasSubstr(key), HasSubstr("missing")));
    }
}

TEST_P(EveryFamily, HasNoWindowWhenSlidingWindowIsNull) {
    auto const config =
        describe_model(json(with(tiny_config(GetParam()), {{"rope_scaling", nullptr}})));
    EXPECT_THAT(config.windows, Each(0));
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamily,
                         ::testing::Values("internlm2", "llama", "mistral", "qwen2", "qwen3"),
                         [](auto const& param) { return std::string(param.param); });

TEST(Architecture, ListsTheFamiliesWhenOneIsUnknown) {
    EXPECT_THAT(
        refusal(tiny_config("mamba")),
        AllOf(HasSubstr("\"mamba\""),
              HasSubstr("internlm2, llama, mistral, qwen2, qwen3, internvl, internvl_chat")));
}

TEST(Architecture, RefusesAConfigThatIsNoObject) {
    EXPECT_THAT(input_error_of([] {
                    describe_model(json(std::array{1, 2}));
                }),
                HasSubstr("an array of 2"));
}

TEST(Architecture, DerivesTheHeadDimOrTakesTheGivenOne) {
    EXPECT_EQ(describe_model(json(tiny_config("llama"))).head_dim, 16);
    EXPECT_EQ(describe_model(json(with(tiny_config("llama"), {{"head_dim", nullptr}}))).head_dim,
              16);
    EXPECT_EQ(describe_model(json(with(tiny_config("llama"), {{"head_dim", 32}}))).head_dim, 32);
    auto const odd = with(tiny_config("llama"), {{"hidden_size", 66}});
    EXPECT_THAT(refusal(odd), AllOf(HasSubstr("hidden_size"), HasSubstr("head_dim")));
    EXPECT_EQ(describe_model(json(with(odd, {{"head_dim", 16}}))).hidden, 66);
}

TEST(Architecture, RefusesHeadsThatDoNotFit) {
    EXPECT_THAT(refusal(with(tiny_config("llama"), {{"num_key_value_heads", 3}})),
                AllOf(HasSubstr("num_attention_heads 4"), HasSubstr("num_key_value_heads 3")));
    EXPECT_THAT(refusal(with(tiny_config("llama"), {{"head_dim", 15}})), HasSubstr("head_dim"));
    EXPECT_THAT(refusal(with(tiny_config("llama"), {{"head_dim", 2}})), HasSubstr("head_dim"));
}

TEST(Architecture, TakesAllHeadsAsKvHeadsWhenNoneAreGiven) {
    auto const config = without(tiny_config("llama"), "num_key_value_heads");
    EXPECT_EQ(describe_model(json(config)).kv_heads, 4);
}

TEST(Architecture, ReadsOneEndOfTextIdOrSeveralOrNone) {
    auto const ids = std::array{7, 99};
    auto const config = tiny_config("llama");
    EXPECT_THAT(describe_model(json(with(config, {{"eos_token_id", ids}}))).eos_ids,
                ElementsAre(7, 99));
    EXPECT_TRUE(describe_model(json(with(config, {{"eos_token_id", nullptr}}))).eos_ids.empty());
    EXPECT_TRUE(describe_model(json(without(config, "eos_token_id"))).eos_ids.empty());
    EXPECT_THAT(refusal(with(config, {{"eos_token_id", 100}})),
                AllOf(HasSubstr("eos_token_id 100"), HasSubstr("vocabulary of 100")));
}

TEST(Architecture, KnowsTheActivations) {
    using kernels::Activation;
    auto const of = [](char const* name) {
        return describe_model(json(with(tiny_config("llama"), {{"hidden_act", name}}))).activation;
    };
    EXPECT_EQ(of("silu"), Activation::silu);
    EXPECT_EQ(of("gelu"), Activation::gelu);
    EXPECT_EQ(of("gelu_new"), Activation::gelu_tanh);
    EXPECT_EQ(of("gelu_pytorch_tanh"), Activation::gelu_tanh);
    EXPECT_THAT(input_error_of([&] { of("relu2"); }),
                AllOf(HasSubstr("\"relu2\""), HasSubstr("gelu_pytorch_tanh")));
}

TEST(Architecture, ReadsTheBiasesOfLlamaAndQwen3) {
    auto const llama = describe_model(
        json(with(tiny_config("llama"), {{"attention_bias", true}, {"mlp_bias", true}})));
    EXPECT_TRUE(llama.qkv_bias);
    EXPECT_TRUE(llama.output_bias);
    EXPECT_TRUE(llama.mlp_bias);
    auto const qwen3 = describe_model(json(with(tiny_config("qwen3"), {{"attention_bias", true}})));
    EXPECT_TRUE(qwen3.qkv_bias);
    EXPECT_TRUE(qwen3.output_bias);
    EXPECT_FALSE(qwen3.mlp_bias);
}

TEST(Architecture, ReadsTheBiasesOfInternLm2) {
    auto const config = describe_model(json(with(tiny_config("internlm2"), {{"bias", true}})));
    EXPECT_TRUE(config.qkv_bias);
    EXPECT_TRUE(config.output_bias);
    EXPECT_FALSE(config.mlp_bias);
    EXPECT_EQ(config.names.qkv, "attention.wqkv");
}

TEST(Architecture, LeavesOutAKeyThatIsNull) {
    EXPECT_EQ(refusal(with(tiny_config("llama"), {{"moe_config", nullptr}})), "no InputError");
}

TEST(Architecture, ReadsTiedEmbeddings) {
    EXPECT_TRUE(describe_model(json(with(tiny_config("qwen2"), {{"tie_word_embeddings", true}})))
                    .tied_embeddings);
}

TEST(Architecture, RefusesWhatTheFamilyDoesNotCompute) {
    EXPECT_THAT(refusal(with(tiny_config("qwen2"), {{"use_mrope", true}})), HasSubstr("use_mrope"));
    EXPECT_THAT(refusal(with(tiny_config("qwen2"), {{"attention_bias", true}})),
                HasSubstr("attention_bias"));
    EXPECT_THAT(refusal(with(tiny_config("llama"), {{"sliding_window", 64}})),
                HasSubstr("sliding_window"));
}

}  // namespace
}  // namespace tesserank::model
