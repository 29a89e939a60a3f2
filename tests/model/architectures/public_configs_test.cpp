#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

// The config.json files of public models, key by key. None of their keys may be refused.

namespace tesserank::model {
namespace {

using test::json;
using test::object;
using test::Object;
using test::with;
using ::testing::Each;
using ::testing::ElementsAre;

/// What all of these files have in common.
Object shared_keys(char const* architecture, char const* model_type) {
    return object({{"architectures", std::array{architecture}},
                   {"model_type", model_type},
                   {"hidden_act", "silu"},
                   {"initializer_range", 0.02},
                   {"rms_norm_eps", 1e-5},
                   {"tie_word_embeddings", false},
                   {"torch_dtype", "bfloat16"},
                   {"transformers_version", "4.43.0"},
                   {"use_cache", true}});
}

Object with_sizes(Object const& config, std::array<int, 7> const& sizes) {
    auto const [vocabulary, hidden, intermediate, layers, heads, kv_heads, context] = sizes;
    return with(config, {{"vocab_size", vocabulary},
                         {"hidden_size", hidden},
                         {"intermediate_size", intermediate},
                         {"num_hidden_layers", layers},
                         {"num_attention_heads", heads},
                         {"num_key_value_heads", kv_heads},
                         {"max_position_embeddings", context}});
}

Object llama(std::array<int, 7> const& sizes) {
    return with(with_sizes(shared_keys("LlamaForCausalLM", "llama"), sizes),
                {{"pretraining_tp", 1}, {"bos_token_id", 1}, {"eos_token_id", 2}});
}

TEST(PublicConfig, Llama1With7BIsUnderstood) {
    auto const config = test::without(
        test::without(llama({32000, 4096, 11008, 32, 32, 32, 0}), "max_position_embeddings"),
        "num_key_value_heads");
    EXPECT_EQ(describe_model(json(config)).context, 2048);
    EXPECT_EQ(describe_model(json(with(config, {{"max_sequence_length", 1024}}))).context, 1024);
    EXPECT_EQ(describe_model(json(with(config, {{"max_sequence_length", 1024},
                                                {"max_position_embeddings", 4096}})))
                  .context,
              4096);
}

TEST(PublicConfig, Llama2With7BIsUnderstood) {
    auto const config = describe_model(
        json(with(llama({32000, 4096, 11008, 32, 32, 32, 4096}),
                  {{"_name_or_path", "meta-llama/Llama-2-7b-hf"}, {"rope_scaling", nullptr}})));
    EXPECT_EQ(config.head_dim, 128);
    EXPECT_EQ(config.queries_per_kv(), 1);
    EXPECT_EQ(config.rope.kind, RopeConfig::Kind::plain);
    EXPECT_EQ(config.rope.theta, 10000.0);
    EXPECT_EQ(config.context, 4096);
}

TEST(PublicConfig, Llama31With8BIsUnderstood) {
    auto const rope = object({{"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192},
                              {"rope_type", "llama3"}});
    auto const config =
        describe_model(json(with(llama({128256, 4096, 14336, 32, 32, 8, 131072}),
                                 {{"attention_bias", false},
                                  {"attention_dropout", 0.0},
                                  {"mlp_bias", false},
                                  {"bos_token_id", 128000},
                                  {"eos_token_id", std::array{128001, 128008, 128009}},
                                  {"rope_theta", 500000.0},
                                  {"rope_scaling", rope}})));
    EXPECT_EQ(config.rope.kind, RopeConfig::Kind::llama3);
    EXPECT_EQ(config.rope.theta, 500000.0);
    EXPECT_EQ(config.rope.original_context, 8192);
    EXPECT_EQ(config.context, 131072);
    EXPECT_EQ(config.kv_heads, 8);
    EXPECT_THAT(config.eos_ids, ElementsAre(128001, 128008, 128009));
    EXPECT_FALSE(config.qkv_bias);
}

TEST(PublicConfig, TinyLlamaIsUnderstood) {
    auto const config = describe_model(json(
        with(llama({32000, 2048, 5632, 22, 32, 4, 2048}),
             {{"attention_bias", false}, {"rope_scaling", nullptr}, {"rope_theta", 10000.0}})));
    EXPECT_EQ(config.head_dim, 64);
    EXPECT_EQ(config.queries_per_kv(), 8);
}

Object mistral(std::array<int, 7> const& sizes) {
    return with(with_sizes(shared_keys("MistralForCausalLM", "mistral"), sizes),
                {{"bos_token_id", 1}, {"eos_token_id", 2}});
}

TEST(PublicConfig, Mistral7BVersion01HasAWindowInEveryLayer) {
    auto const config =
        describe_model(json(with(mistral({32000, 4096, 14336, 32, 32, 8, 32768}),
                                 {{"rope_theta", 10000.0}, {"sliding_window", 4096}})));
    EXPECT_EQ(config.windows.size(), 32);
    EXPECT_THAT(config.windows, Each(4096));
}

TEST(PublicConfig, Mistral7BVersion03HasNoWindow) {
    auto const config = describe_model(json(with(
        mistral({32768, 4096, 14336, 32, 32, 8, 32768}),
        {{"attention_dropout", 0.0}, {"rope_theta", 1000000.0}, {"sliding_window", nullptr}})));
    EXPECT_THAT(config.windows, Each(0));
    EXPECT_EQ(config.rope.theta, 1000000.0);
}

Object qwen2(std::array<int, 7> const& sizes) {
    return with(with_sizes(shared_keys("Qwen2ForCausalLM", "qwen2"), sizes),
                {{"attention_dropout", 0.0},
                 {"bos_token_id", 151643},
                 {"eos_token_id", 151645},
                 {"rms_norm_eps", 1e-6},
                 {"rope_theta", 1000000.0},
                 {"sliding_window", 131072},
                 {"use_sliding_window", false}});
}

TEST(PublicConfig, Qwen25With7BIsUnderstood) {
    auto const config =
        describe_model(json(with(qwen2({152064, 3584, 18944, 28, 28, 4, 131072}),
                                 {{"max_window_layers", 28}, {"use_mrope", false}})));
    EXPECT_TRUE(config.qkv_bias);
    EXPECT_FALSE(config.output_bias);
    EXPECT_EQ(config.head_dim, 128);
    EXPECT_EQ(config.queries_per_kv(), 7);
    EXPECT_THAT(config.windows, Each(0));
    EXPECT_EQ(config.context, 131072);
}

TEST(PublicConfig, Qwen25With72BAndYarnIsUnderstood) {
    auto const rope =
        object({{"factor", 4.0}, {"original_max_position_embeddings", 32768}, {"type", "yarn"}});
    auto const config =
        describe_model(json(with(qwen2({152064, 8192, 29568, 80, 64, 8, 32768}),
                                 {{"max_window_layers", 70}, {"rope_scaling", rope}})));
    EXPECT_EQ(config.rope.kind, RopeConfig::Kind::yarn);
    EXPECT_EQ(config.rope.original_context, 32768);
    EXPECT_EQ(config.context, 131072);
    EXPECT_NEAR(config.rope.attention_factor, 1.1386294361, 1e-9);
}

TEST(PublicConfig, Qwen3With8BIsUnderstood) {
    auto const config =
        describe_model(json(with(with_sizes(shared_keys("Qwen3ForCausalLM", "qwen3"),
                                            {151936, 4096, 12288, 36, 32, 8, 40960}),
                                 {{"attention_bias", false},
                                  {"attention_dropout", 0.0},
                                  {"bos_token_id", 151643},
                                  {"eos_token_id", 151645},
                                  {"head_dim", 128},
                                  {"max_window_layers", 36},
                                  {"rms_norm_eps", 1e-6},
                                  {"rope_scaling", nullptr},
                                  {"rope_theta", 1000000},
                                  {"sliding_window", nullptr},
                                  {"use_sliding_window", false}})));
    EXPECT_EQ(config.qk_norm, QkNorm::heads);
    EXPECT_FALSE(config.qkv_bias);
    EXPECT_EQ(config.head_dim, 128);
    EXPECT_EQ(config.rope.theta, 1000000.0);
}

// The same model saved again by transformers 5: rope_parameters, dtype, layer_types, and what the
// base class of all configs writes.
TEST(PublicConfig, Qwen3SavedByTransformers5IsUnderstood) {
    auto const config = describe_model(
        json(with(with_sizes(test::without(shared_keys("Qwen3ForCausalLM", "qwen3"), "torch_dtype"),
                             {151936, 1024, 3072, 28, 16, 8, 40960}),
                  {{"attention_bias", false},
                   {"attention_dropout", 0.0},
                   {"bos_token_id", 151643},
                   {"chunk_size_feed_forward", 0},
                   {"dtype", "bfloat16"},
                   {"eos_token_id", 151645},
                   {"head_dim", 128},
                   {"id2label", object({{"0", "LABEL_0"}, {"1", "LABEL_1"}})},
                   {"is_encoder_decoder", false},
                   {"label2id", object({{"LABEL_0", 0}, {"LABEL_1", 1}})},
                   {"layer_types", std::vector<std::string>(28, "full_attention")},
                   {"max_window_layers", 28},
                   {"output_attentions", false},
                   {"output_hidden_states", false},
                   {"pad_token_id", nullptr},
                   {"problem_type", nullptr},
                   {"return_dict", true},
                   {"rope_parameters", object({{"rope_theta", 1000000}, {"rope_type", "default"}})},
                   {"sliding_window", nullptr},
                   {"tie_word_embeddings", true},
                   {"use_sliding_window", false}})));
    EXPECT_EQ(config.rope.theta, 1000000.0);
    EXPECT_TRUE(config.tied_embeddings);
    EXPECT_THAT(config.windows, Each(0));
}

}  // namespace
}  // namespace tesserank::model
