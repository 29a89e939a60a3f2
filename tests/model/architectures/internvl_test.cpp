#include "tests/model/support_vision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace tesserank::model {
namespace {

using test::json;
using test::Object;
using test::object;
using test::tiny_config;
using test::tiny_intern_vit;
using test::tiny_internvl;
using test::tiny_internvl_chat;
using test::tiny_internvl_vision;
using test::with;
using test::without;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

VisionConfig vision_of(Object const& config) { return *describe_model(json(config)).vision; }

std::string refusal(Object const& config) {
    return test::input_error_of([&] { describe_model(json(config)); });
}

std::string refused_vision(test::Entry const& entry) {
    return refusal(tiny_internvl_chat(with(tiny_intern_vit(), {entry})));
}

void expect_sizes(VisionConfig const& vision) {
    EXPECT_EQ(vision.hidden, 20);
    EXPECT_EQ(vision.intermediate, 36);
    EXPECT_EQ(vision.layers, 3);
    EXPECT_EQ(vision.file_layers, 3);
    EXPECT_EQ(vision.heads, 5);
    EXPECT_EQ(vision.head_dim, 4);
    EXPECT_EQ(vision.patch, 7);
    EXPECT_EQ(vision.side, 28);
    EXPECT_EQ(vision.table_side, 28);
    EXPECT_EQ(vision.patches(), 16);
    EXPECT_EQ(vision.rows_per_tile(), 17);
    EXPECT_EQ(vision.shuffle, 2);
    EXPECT_EQ(vision.features_per_tile(), 4);
    EXPECT_EQ(vision.features, 64);
    EXPECT_EQ(vision.norm, VisionConfig::Norm::layer);
    EXPECT_EQ(vision.qk_norm, QkNorm::none);
    EXPECT_TRUE(vision.qkv_bias);
    EXPECT_FALSE(vision.by_columns);
    EXPECT_EQ(vision.activation, kernels::Activation::gelu);
    EXPECT_EQ(vision.projector_activation, kernels::Activation::gelu);
    EXPECT_FLOAT_EQ(vision.projector_eps, 1e-5F);
}

TEST(InternVl, GivesTheSameSizesInBothLayouts) {
    expect_sizes(vision_of(tiny_internvl_chat()));
    expect_sizes(vision_of(tiny_internvl()));
}

TEST(InternVl, HasATextModelOfItsOwn) {
    for (auto const& config : {tiny_internvl_chat(), tiny_internvl()}) {
        auto const decoder = describe_model(json(config));
        EXPECT_EQ(decoder.model_type, std::get<std::string>(config.at("model_type").value));
        EXPECT_EQ(decoder.vocabulary, 100);
        EXPECT_TRUE(decoder.qkv_bias) << "qwen2";
        EXPECT_THAT(decoder.eos_ids, ElementsAre(7));
        EXPECT_EQ(decoder.names.embedding, "language_model.model.embed_tokens.weight");
        EXPECT_EQ(decoder.names.layer_prefix, "language_model.model.layers.");
        EXPECT_EQ(decoder.names.final_norm, "language_model.model.norm.weight");
        EXPECT_EQ(decoder.names.lm_head, "language_model.lm_head.weight");
    }
}

TEST(InternVl, TakesTheNamesThatTheFileHas) {
    auto config = describe_model(json(tiny_internvl()));
    match_names(config, [](std::string_view name) { return name.starts_with("language_model."); });
    EXPECT_EQ(config.names.embedding, "language_model.model.embed_tokens.weight");
    match_names(config, [](std::string_view name) { return name.starts_with("model."); });
    EXPECT_EQ(config.names.embedding, "model.language_model.embed_tokens.weight");
    EXPECT_EQ(config.names.layer_prefix, "model.language_model.layers.");
    EXPECT_EQ(config.names.final_norm, "model.language_model.norm.weight");
    EXPECT_EQ(config.names.lm_head, "lm_head.weight");
    EXPECT_EQ(config.vision->names.class_token, "model.vision_tower.embeddings.cls_token");
    EXPECT_EQ(config.vision->names.layer_prefix, "model.vision_tower.encoder.layer.");
    EXPECT_EQ(config.vision->names.projector_up, "model.multi_modal_projector.linear_1");
}

TEST(InternVl, TakesEveryTextFamily) {
    for (auto const* family : {"internlm2", "llama", "qwen2", "qwen3"}) {
        auto const config = tiny_internvl_chat(tiny_intern_vit(), tiny_config(family));
        EXPECT_EQ(describe_model(json(config)).qk_norm == QkNorm::heads,
                  std::string(family) == "qwen3");
    }
    auto const internlm2 =
        describe_model(json(tiny_internvl_chat(tiny_intern_vit(), tiny_config("internlm2"))));
    EXPECT_EQ(internlm2.names.lm_head, "language_model.output.weight");
    EXPECT_EQ(internlm2.names.embedding, "language_model.model.tok_embeddings.weight");
}

TEST(InternVl, RefusesTextModelsOfExpertsByName) {
    auto const message = refusal(tiny_internvl_chat(tiny_intern_vit(), tiny_config("qwen3_moe")));
    EXPECT_THAT(message, AllOf(HasSubstr("llm_config"), HasSubstr("\"qwen3_moe\""),
                               HasSubstr("internlm2, llama, mistral, qwen2, qwen3")));
}

TEST(InternVl, NamesTheObjectInWhichAKeyIsWrong) {
    auto const text = with(tiny_config("llama"), {{"attention_sink", 4}});
    EXPECT_THAT(refusal(tiny_internvl_chat(tiny_intern_vit(), text)),
                HasSubstr("config.json: llm_config: not understood: attention_sink = 4"));
    EXPECT_THAT(refused_vision({"registers", 4}),
                HasSubstr("config.json: vision_config: not understood: registers = 4"));
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"audio_config", object({})}})),
                HasSubstr("config.json: not understood: audio_config"));
    EXPECT_THAT(refusal(without(tiny_internvl_chat(), "llm_config")),
                HasSubstr("config.json: llm_config is missing"));
    EXPECT_THAT(refusal(without(tiny_internvl(), "vision_config")),
                HasSubstr("config.json: vision_config is missing"));
}

TEST(InternVl, ComputesUpToTheSelectedLayer) {
    auto const layers = [](int selected) {
        return vision_of(with(tiny_internvl_chat(), {{"select_layer", selected}})).layers;
    };
    EXPECT_EQ(layers(-1), 3);
    EXPECT_EQ(layers(-2), 2);
    EXPECT_EQ(layers(1), 1);
    EXPECT_EQ(layers(3), 3);
    for (int const wrong : {-4, 0, 4}) {
        EXPECT_THAT(
            test::input_error_of([&] { layers(wrong); }),
            AllOf(HasSubstr("select_layer is " + std::to_string(wrong)), HasSubstr("3 layer(s)")));
    }
    auto const newer = vision_of(with(tiny_internvl(), {{"vision_feature_layer", -2}}));
    EXPECT_EQ(newer.layers, 2);
    EXPECT_EQ(newer.file_layers, 3);
}

TEST(InternVl, TakesAnotherSideThanTheTablesOne) {
    auto const vision = vision_of(with(tiny_internvl_chat(), {{"force_image_size", 42}}));
    EXPECT_EQ(vision.side, 42);
    EXPECT_EQ(vision.table_side, 28);
    EXPECT_EQ(vision.features_per_tile(), 9);
    EXPECT_EQ(vision_of(with(tiny_internvl_chat(), {{"force_image_size", nullptr}})).side, 28);
}

TEST(InternVl, RefusesSidesThatDoNotFit) {
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"force_image_size", 30}})),
                AllOf(HasSubstr("30"), HasSubstr("patch_size 7")));
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"force_image_size", 35}})),
                AllOf(HasSubstr("5 patches across"), HasSubstr("downsample_ratio")));
    EXPECT_THAT(refused_vision({"image_size", std::array{28, 42}}), HasSubstr("image_size"));
    // The bytes of its rows would not fit 64 bits.
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"force_image_size", 7 << 26}})),
                HasSubstr("the side of a tile is 469762048 pixels, expected at most 16384"));
    EXPECT_THAT(refused_vision({"hidden_size", 21}),
                AllOf(HasSubstr("hidden_size 21"), HasSubstr("num_attention_heads 5")));
    EXPECT_THAT(refused_vision({"num_channels", 4}), HasSubstr("num_channels"));
    EXPECT_THAT(refused_vision({"num_hidden_layers", 20000}), HasSubstr("num_hidden_layers"));
    EXPECT_THAT(refusal(with(tiny_internvl(), {{"image_seq_length", 256}})),
                AllOf(HasSubstr("image_seq_length is 256"), HasSubstr("4 features")));
}

TEST(InternVl, ShufflesByAWholeNumber) {
    EXPECT_EQ(vision_of(with(tiny_internvl_chat(), {{"downsample_ratio", 0.25}})).shuffle, 4);
    EXPECT_EQ(vision_of(with(tiny_internvl_chat(), {{"downsample_ratio", 1}})).shuffle, 1);
    for (double const wrong : {0.4, 0.0, -0.5, 2.0}) {
        EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"downsample_ratio", wrong}})),
                    HasSubstr("downsample_ratio"));
    }
}

TEST(InternVl, KnowsBothVersionsOfPixelShuffle) {
    EXPECT_TRUE(vision_of(with(tiny_internvl_chat(), {{"ps_version", "v1"}})).by_columns);
    EXPECT_TRUE(vision_of(without(tiny_internvl_chat(), "ps_version")).by_columns);
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"ps_version", "v3"}})),
                HasSubstr("ps_version is \"v3\""));
}

TEST(InternVl, KnowsTheNormsOfTheLargeEncoder) {
    auto const large = with(tiny_intern_vit(), {{"norm_type", "rms_norm"},
                                                {"qk_normalization", true},
                                                {"qkv_bias", false},
                                                {"layer_norm_eps", 1e-5}});
    auto const vision = vision_of(tiny_internvl_chat(large));
    EXPECT_EQ(vision.norm, VisionConfig::Norm::rms);
    EXPECT_EQ(vision.qk_norm, QkNorm::whole);
    EXPECT_FLOAT_EQ(vision.qk_norm_eps, 1e-5F);
    EXPECT_FALSE(vision.qkv_bias);
    EXPECT_THAT(refused_vision({"norm_type", "batch_norm"}), HasSubstr("\"batch_norm\""));
    auto const newer =
        with(tiny_internvl_vision(),
             {{"norm_type", "rms_norm"}, {"use_qk_norm", true}, {"layer_norm_eps", 1e-5}});
    EXPECT_EQ(vision_of(tiny_internvl(newer)).qk_norm, QkNorm::whole);
    EXPECT_FLOAT_EQ(vision_of(tiny_internvl(newer)).qk_norm_eps, 1e-6F) << "which is fixed there";
}

TEST(InternVl, TiesEmbeddingsAsTheInnerConfigSaysAndElseTheOuterOne) {
    auto const tied = [](Object const& outer, Object const& inner) {
        return describe_model(json(with(outer, {{"text_config", inner}}))).tied_embeddings;
    };
    auto const plain = tiny_config("qwen2");
    auto const inner_says = with(plain, {{"tie_word_embeddings", false}});
    auto const outer_says = with(tiny_internvl(), {{"tie_word_embeddings", true}});
    EXPECT_FALSE(tied(tiny_internvl(), plain));
    EXPECT_TRUE(tied(outer_says, plain));
    EXPECT_FALSE(tied(outer_says, inner_says));
    EXPECT_TRUE(tied(tiny_internvl(), with(plain, {{"tie_word_embeddings", true}})));
}

TEST(InternVl, TakesTheOuterEndOfTextWhereTheInnerConfigHasNone) {
    auto const text = without(tiny_config("qwen2"), "eos_token_id");
    auto const config = with(tiny_internvl_chat(tiny_intern_vit(), text), {{"eos_token_id", 9}});
    EXPECT_THAT(describe_model(json(config)).eos_ids, ElementsAre(9));
    EXPECT_THAT(refusal(with(config, {{"eos_token_id", 100}})), HasSubstr("eos_token_id 100"));
}

TEST(InternVl, RefusesWhatItDoesNotComputeByName) {
    EXPECT_THAT(refused_vision({"use_moe", true}), HasSubstr("use_moe"));
    EXPECT_THAT(refused_vision({"model_type", "siglip_vision_model"}), HasSubstr("siglip"));
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"pad2square", true}})),
                HasSubstr("pad2square"));
    EXPECT_THAT(refusal(with(tiny_internvl_chat(), {{"use_llm_lora", 16}})),
                AllOf(HasSubstr("use_llm_lora"), HasSubstr("merge")));
    auto const refused = [](test::Entry const& entry) {
        return refusal(tiny_internvl(with(tiny_internvl_vision(), {entry})));
    };
    EXPECT_THAT(refused({"use_mean_pooling", false}), HasSubstr("use_mean_pooling"));
    EXPECT_THAT(refused({"use_mask_token", true}), HasSubstr("use_mask_token"));
    EXPECT_THAT(refused({"use_absolute_position_embeddings", false}),
                HasSubstr("use_absolute_position_embeddings"));
    EXPECT_THAT(refusal(with(tiny_internvl(), {{"vision_feature_select_strategy", "full"}})),
                HasSubstr("\"full\""));
    EXPECT_THAT(refusal(with(tiny_internvl(), {{"vision_feature_layer", std::array{-1, -2}}})),
                HasSubstr("vision_feature_layer"));
}

}  // namespace
}  // namespace tesserank::model
