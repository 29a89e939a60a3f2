#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

// The config.json files of public models with a vision encoder, key by key. None of their keys may
// be refused.

namespace tesserank::model {
namespace {

using test::json;
using test::Object;
using test::object;
using test::with;

/// What every config.json in the original layout has.
Object chat(Object const& vision, Object const& text) {
    return object({{"_commit_hash", nullptr},
                   {"architectures", std::array{"InternVLChatModel"}},
                   {"auto_map", object({{"AutoConfig", "configuration.InternVLChatConfig"}})},
                   {"downsample_ratio", 0.5},
                   {"dynamic_image_size", true},
                   {"force_image_size", 448},
                   {"llm_config", text},
                   {"max_dynamic_patch", 12},
                   {"min_dynamic_patch", 1},
                   {"model_type", "internvl_chat"},
                   {"pad2square", false},
                   {"ps_version", "v2"},
                   {"select_layer", -1},
                   {"template", "internvl2_5"},
                   {"torch_dtype", "bfloat16"},
                   {"transformers_version", nullptr},
                   {"use_backbone_lora", 0},
                   {"use_llm_lora", 0},
                   {"use_thumbnail", true},
                   {"vision_config", vision}});
}

/// InternViT with 300M parameters.
Object small_encoder() {
    return object({{"architectures", std::array{"InternVisionModel"}},
                   {"attention_dropout", 0.0},
                   {"drop_path_rate", 0.0},
                   {"dropout", 0.0},
                   {"hidden_act", "gelu"},
                   {"hidden_size", 1024},
                   {"image_size", 448},
                   {"initializer_factor", 1.0},
                   {"initializer_range", 0.02},
                   {"intermediate_size", 4096},
                   {"layer_norm_eps", 1e-06},
                   {"model_type", "intern_vit_6b"},
                   {"norm_type", "layer_norm"},
                   {"num_attention_heads", 16},
                   {"num_channels", 3},
                   {"num_hidden_layers", 24},
                   {"output_attentions", false},
                   {"output_hidden_states", false},
                   {"patch_size", 14},
                   {"qk_normalization", false},
                   {"qkv_bias", true},
                   {"return_dict", true},
                   {"torch_dtype", "bfloat16"},
                   {"transformers_version", "4.37.2"},
                   {"use_bfloat16", true},
                   {"use_flash_attn", true}});
}

/// InternViT with 6B parameters.
Object large_encoder() {
    return with(small_encoder(), {{"hidden_size", 3200},
                                  {"intermediate_size", 12800},
                                  {"norm_type", "rms_norm"},
                                  {"num_attention_heads", 25},
                                  {"num_hidden_layers", 45},
                                  {"qk_normalization", true},
                                  {"qkv_bias", false}});
}

/// What the base class of all configs wrote into inner ones.
Object with_defaults_of_generation(Object const& text) {
    return with(text, {{"add_cross_attention", false},
                       {"bad_words_ids", nullptr},
                       {"chunk_size_feed_forward", 0},
                       {"diversity_penalty", 0.0},
                       {"do_sample", false},
                       {"early_stopping", false},
                       {"encoder_no_repeat_ngram_size", 0},
                       {"finetuning_task", nullptr},
                       {"id2label", object({{"0", "LABEL_0"}, {"1", "LABEL_1"}})},
                       {"is_decoder", false},
                       {"is_encoder_decoder", false},
                       {"label2id", object({{"LABEL_0", 0}, {"LABEL_1", 1}})},
                       {"length_penalty", 1.0},
                       {"max_length", 20},
                       {"min_length", 0},
                       {"no_repeat_ngram_size", 0},
                       {"num_beam_groups", 1},
                       {"num_beams", 1},
                       {"num_return_sequences", 1},
                       {"output_attentions", false},
                       {"output_hidden_states", false},
                       {"output_scores", false},
                       {"prefix", nullptr},
                       {"pruned_heads", object({})},
                       {"remove_invalid_values", false},
                       {"repetition_penalty", 1.0},
                       {"return_dict", true},
                       {"return_dict_in_generate", false},
                       {"temperature", 1.0},
                       {"tf_legacy_loss", false},
                       {"tie_encoder_decoder", false},
                       {"top_k", 50},
                       {"top_p", 1.0},
                       {"torchscript", false},
                       {"typical_p", 1.0},
                       {"use_bfloat16", true}});
}

Object internlm2() {
    return with_defaults_of_generation(
        object({{"_name_or_path", "internlm/internlm2_5-7b-chat"},
                {"architectures", std::array{"InternLM2ForCausalLM"}},
                {"attn_implementation", "flash_attention_2"},
                {"auto_map", object({{"AutoConfig", "configuration_internlm2.InternLM2Config"}})},
                {"bias", false},
                {"bos_token_id", 1},
                {"eos_token_id", 2},
                {"hidden_act", "silu"},
                {"hidden_size", 4096},
                {"initializer_range", 0.02},
                {"intermediate_size", 14336},
                {"max_position_embeddings", 32768},
                {"model_type", "internlm2"},
                {"num_attention_heads", 32},
                {"num_hidden_layers", 32},
                {"num_key_value_heads", 8},
                {"pad_token_id", 2},
                {"pretraining_tp", 1},
                {"rms_norm_eps", 1e-05},
                {"rope_scaling", object({{"factor", 2.0}, {"type", "dynamic"}})},
                {"rope_theta", 1000000},
                {"tie_word_embeddings", false},
                {"torch_dtype", "bfloat16"},
                {"transformers_version", "4.37.2"},
                {"use_cache", true},
                {"vocab_size", 92553}}));
}

Object qwen(char const* model_type) {
    return object({{"_attn_implementation_autoset", true},
                   {"architectures", std::array{"Qwen2ForCausalLM"}},
                   {"attention_dropout", 0.0},
                   {"bos_token_id", 151643},
                   {"eos_token_id", 151645},
                   {"hidden_act", "silu"},
                   {"hidden_size", 896},
                   {"initializer_range", 0.02},
                   {"intermediate_size", 4864},
                   {"max_position_embeddings", 32768},
                   {"max_window_layers", 70},
                   {"model_type", model_type},
                   {"num_attention_heads", 14},
                   {"num_hidden_layers", 24},
                   {"num_key_value_heads", 2},
                   {"rms_norm_eps", 1e-06},
                   {"rope_scaling", nullptr},
                   {"rope_theta", 1000000.0},
                   {"sliding_window", nullptr},
                   {"torch_dtype", "bfloat16"},
                   {"use_bfloat16", true},
                   {"use_cache", false},
                   {"use_sliding_window", false},
                   {"vocab_size", 151674}});
}

TEST(PublicVisionConfig, InternVl2With8BIsUnderstood) {
    auto const config = describe_model(json(chat(small_encoder(), internlm2())));
    EXPECT_EQ(config.kv_heads, 8);
    EXPECT_EQ(config.rope.kind, RopeConfig::Kind::dynamic_ntk);
    EXPECT_EQ(config.context, 65536);
    EXPECT_EQ(config.names.layer_prefix, "language_model.model.layers.");
    ASSERT_TRUE(config.vision);
    EXPECT_EQ(config.vision->head_dim, 64);
    EXPECT_EQ(config.vision->features_per_tile(), 256);
    EXPECT_EQ(config.vision->features, 4096);
}

TEST(PublicVisionConfig, InternVl2With26BIsUnderstood) {
    auto const text = with(internlm2(), {{"hidden_size", 6144},
                                         {"intermediate_size", 16384},
                                         {"num_attention_heads", 48},
                                         {"num_hidden_layers", 48}});
    auto const config = describe_model(json(chat(large_encoder(), text)));
    EXPECT_EQ(config.vision->layers, 45);
    EXPECT_EQ(config.vision->head_dim, 128);
    EXPECT_EQ(config.vision->qk_norm, QkNorm::whole);
    EXPECT_EQ(config.vision->norm, VisionConfig::Norm::rms);
    EXPECT_EQ(config.vision->features, 6144);
}

// With the keys of experts that are not used.
TEST(PublicVisionConfig, InternVl3With1BIsUnderstood) {
    auto const vision = with(small_encoder(), {{"capacity_factor", 1.2},
                                               {"eval_capacity_factor", 1.4},
                                               {"laux_allreduce", "all_nodes"},
                                               {"moe_coeff_ratio", 0.5},
                                               {"moe_intermediate_size", 768},
                                               {"moe_output_scale", 4.0},
                                               {"noisy_gate_policy", "RSample_before"},
                                               {"num_experts", 8},
                                               {"num_routed_experts", 4},
                                               {"num_shared_experts", 4},
                                               {"shared_expert_intermediate_size", 3072},
                                               {"use_moe", false},
                                               {"use_residual", true},
                                               {"use_rts", false},
                                               {"use_weighted_residual", false}});
    auto const rope = object({{"factor", 2.0}, {"rope_type", "dynamic"}, {"type", "dynamic"}});
    auto const text =
        with(qwen("qwen2"), {{"layer_types", std::vector<std::string>(24, "full_attention")},
                             {"moe_config", nullptr},
                             {"rope_scaling", rope}});
    auto const config =
        describe_model(json(with(chat(vision, text), {{"hidden_size", 896},
                                                      {"image_fold", nullptr},
                                                      {"output_attentions", false},
                                                      {"system_message", nullptr},
                                                      {"tie_word_embeddings", false}})));
    EXPECT_TRUE(config.qkv_bias);
    EXPECT_FALSE(config.tied_embeddings);
    EXPECT_EQ(config.vision->layers, 24);
}

TEST(PublicVisionConfig, InternVl35With1BIsUnderstood) {
    auto const text = with(qwen("qwen3"), {{"attention_bias", false},
                                           {"debug", false},
                                           {"ep_size", 1},
                                           {"head_dim", 128},
                                           {"micro_forward", false},
                                           {"skip_checkpoint", false},
                                           {"use_deepep", false}});
    auto const config = describe_model(json(chat(small_encoder(), text)));
    EXPECT_EQ(config.qk_norm, QkNorm::heads);
    EXPECT_EQ(config.head_dim, 128);
}

TEST(PublicVisionConfig, InternVl15With26BTakesTheLayerBeforeTheLast) {
    auto const config = describe_model(json(
        with(chat(large_encoder(), internlm2()), {{"ps_version", "v2"}, {"select_layer", -1}})));
    EXPECT_EQ(config.vision->layers, 45);
    auto const older = describe_model(
        json(with(chat(with(large_encoder(), {{"num_hidden_layers", 48}}), internlm2()),
                  {{"ps_version", "v1"}, {"select_layer", -4}})));
    EXPECT_EQ(older.vision->layers, 45);
    EXPECT_EQ(older.vision->file_layers, 48);
    EXPECT_TRUE(older.vision->by_columns);
}

TEST(PublicVisionConfig, InternVl3With1BAsTransformersHasItIsUnderstood) {
    auto const vision = object({{"attention_bias", true},
                                {"attention_dropout", 0.0},
                                {"hidden_act", "gelu"},
                                {"hidden_dropout_prob", 0.0},
                                {"hidden_size", 1024},
                                {"image_size", std::array{448, 448}},
                                {"initializer_factor", 0.1},
                                {"initializer_range", 1e-10},
                                {"intermediate_size", 4096},
                                {"layer_norm_eps", 1e-06},
                                {"layer_scale_init_value", 0.1},
                                {"model_type", "internvl_vision"},
                                {"norm_type", "layer_norm"},
                                {"num_attention_heads", 16},
                                {"num_channels", 3},
                                {"num_hidden_layers", 24},
                                {"patch_size", std::array{14, 14}},
                                {"projection_dropout", 0.0},
                                {"torch_dtype", "bfloat16"},
                                {"use_absolute_position_embeddings", true},
                                {"use_mask_token", false},
                                {"use_mean_pooling", true},
                                {"use_qk_norm", false}});
    auto const config = describe_model(
        json(object({{"architectures", std::array{"InternVLForConditionalGeneration"}},
                     {"downsample_ratio", 0.5},
                     {"image_seq_length", 256},
                     {"image_token_id", 151667},
                     {"model_type", "internvl"},
                     {"projector_hidden_act", "gelu"},
                     {"text_config", qwen("qwen2")},
                     {"torch_dtype", "bfloat16"},
                     {"transformers_version", "4.52.0.dev0"},
                     {"vision_config", vision},
                     {"vision_feature_layer", -1},
                     {"vision_feature_select_strategy", "default"}})));
    EXPECT_EQ(config.vision->features_per_tile(), 256);
    EXPECT_TRUE(config.vision->qkv_bias);
    EXPECT_TRUE(config.vision->names.qkv.empty());
}

}  // namespace
}  // namespace tesserank::model
