#include "model/architectures/common.hpp"
#include "model/architectures/harmless_keys.hpp"
#include "model/architectures/vision.hpp"

#include <array>
#include <string>
#include <string_view>

namespace tesserank::model::architectures {
namespace {

constexpr std::array<std::string_view, 4> harmless_in_encoder{
    "hidden_dropout_prob", "initializer_factor", "layer_scale_init_value", "projection_dropout"};

/// How pictures are cut into tiles and prompts are written is not the model's matter.
constexpr std::array<std::string_view, 5> harmless_outside{"dynamic_image_size", "image_token_id",
                                                           "max_dynamic_patch", "min_dynamic_patch",
                                                           "use_thumbnail"};

VisionNames names_in_transformers() {
    return {.patch = "vision_tower.embeddings.patch_embeddings.projection",
            .class_token = "vision_tower.embeddings.cls_token",
            .positions = "vision_tower.embeddings.position_embeddings",
            .layer_prefix = "vision_tower.encoder.layer.",
            .attention_norm = "layernorm_before",
            .mlp_norm = "layernorm_after",
            .qkv = "",
            .query = "attention.q_proj",
            .key = "attention.k_proj",
            .value = "attention.v_proj",
            .query_norm = "attention.q_norm",
            .key_norm = "attention.k_norm",
            .output = "attention.projection_layer",
            .attention_scale = "lambda_1",
            .mlp_scale = "lambda_2",
            .up = "mlp.fc1",
            .down = "mlp.fc2",
            .projector_norm = "multi_modal_projector.layer_norm",
            .projector_up = "multi_modal_projector.linear_1",
            .projector_down = "multi_modal_projector.linear_2"};
}

/// Defaults are those of configuration_internvl.py in transformers; the epsilon of its norms of q
/// and k is fixed.
VisionConfig describe_encoder(ConfigReader& config) {
    auto object = config.object("vision_config");
    if (!object) config.fail("vision_config", "is missing");
    auto& vision = *object;
    expect_text(vision, "model_type", "internvl_vision");
    auto encoder = describe_vision_sizes(vision);
    encoder.norm = read_norm_type(vision, "layer_norm");
    encoder.qkv_bias = vision.flag_or("attention_bias", false);
    if (vision.flag_or("use_qk_norm", false)) encoder.qk_norm = QkNorm::whole;
    expect_flag(vision, "use_mask_token", false);
    expect_flag(vision, "use_absolute_position_embeddings", true);
    // Otherwise a last norm follows.
    expect_flag(vision, "use_mean_pooling", true);
    for (auto const key : harmless_in_encoder) vision.ignore(key);
    vision.finish(harmless_keys());
    encoder.names = names_in_transformers();
    return encoder;
}

}  // namespace

/// InternVL as transformers has it (InternVLForConditionalGeneration).
DecoderConfig describe_internvl(ConfigReader& config) {
    auto decoder = describe_text_part(config, "text_config", "language_model.");
    auto encoder = describe_encoder(config);
    encoder.features = decoder.hidden;
    select_layer(config, "vision_feature_layer", encoder);
    read_downsample_ratio(config, encoder);
    encoder.projector_activation = kernels::Activation::gelu;
    if (config.has("projector_hidden_act")) {
        encoder.projector_activation = read_activation(config, "projector_hidden_act");
    }
    // Without the class token.
    expect_text(config, "vision_feature_select_strategy", "default");
    expect_text(config, "ps_version", "v2");
    std::size_t const features = config.size_or("image_seq_length", encoder.features_per_tile());
    if (features != encoder.features_per_tile()) {
        config.fail("image_seq_length", "is " + std::to_string(features) + ", but a tile has " +
                                            std::to_string(encoder.features_per_tile()) +
                                            " features");
    }
    for (auto const key : harmless_outside) config.ignore(key);
    decoder.vision = encoder;
    return decoder;
}

void use_newer_names(DecoderConfig& config) {
    constexpr std::string_view text = "language_model.", model = "model.";
    auto& names = config.names;
    for (auto* const name : {&names.embedding, &names.layer_prefix, &names.final_norm}) {
        name->replace(0, text.size() + model.size(), "model.language_model.");
    }
    names.lm_head.erase(0, text.size());
    auto& vision = config.vision->names;
    for (auto* const name :
         {&vision.patch, &vision.class_token, &vision.positions, &vision.layer_prefix,
          &vision.projector_norm, &vision.projector_up, &vision.projector_down}) {
        name->insert(0, model);
    }
}

}  // namespace tesserank::model::architectures
