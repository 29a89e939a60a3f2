#include "model/architectures/common.hpp"
#include "model/architectures/harmless_keys.hpp"
#include "model/architectures/vision.hpp"

#include <array>
#include <string>
#include <string_view>

namespace tesserank::model::architectures {
namespace {

/// Of training, of experts that are not used, and of the ways of computing the same.
constexpr std::array<std::string_view, 20> harmless_in_encoder{"capacity_factor",
                                                               "drop_path_rate",
                                                               "dropout",
                                                               "eval_capacity_factor",
                                                               "initializer_factor",
                                                               "laux_allreduce",
                                                               "moe_coeff_ratio",
                                                               "moe_intermediate_size",
                                                               "moe_output_scale",
                                                               "noisy_gate_policy",
                                                               "num_experts",
                                                               "num_routed_experts",
                                                               "num_shared_experts",
                                                               "shared_expert_intermediate_size",
                                                               "use_flash_attn",
                                                               "use_residual",
                                                               "use_rts",
                                                               "use_weighted_residual",
                                                               "gradient_checkpointing",
                                                               "attention_probs_dropout_prob"};

/// How pictures are cut into tiles and prompts are written is not the model's matter.
constexpr std::array<std::string_view, 7> harmless_outside{
    "dynamic_image_size", "hidden_size", "max_dynamic_patch", "min_dynamic_patch",
    "system_message",     "template",    "use_thumbnail"};

/// InternViT: defaults are those of its configuration_intern_vit.py.
VisionConfig describe_encoder(ConfigReader& config) {
    auto object = config.object("vision_config");
    if (!object) config.fail("vision_config", "is missing");
    auto& vision = *object;
    expect_text(vision, "model_type", "intern_vit_6b");
    auto encoder = describe_vision_sizes(vision);
    encoder.norm = read_norm_type(vision, "rms_norm");
    encoder.qkv_bias = vision.flag_or("qkv_bias", false);
    if (vision.flag_or("qk_normalization", true)) encoder.qk_norm = QkNorm::whole;
    encoder.qk_norm_eps = encoder.norm_eps;
    expect_flag(vision, "use_moe", false);
    for (auto const key : harmless_in_encoder) vision.ignore(key);
    vision.finish(harmless_keys());
    return encoder;
}

void expect_no_lora(ConfigReader& config, std::string_view key) {
    if (config.count_or(key, 0) == 0) return;
    config.fail(key, "is not 0: merge the LoRA weights into the model first");
}

}  // namespace

/// InternVL in its original layout: 1.5, 2, 2.5, 3 and 3.5.
DecoderConfig describe_internvl_chat(ConfigReader& config) {
    auto decoder = describe_text_part(config, "llm_config", "language_model.");
    auto encoder = describe_encoder(config);
    encoder.side = config.size_or("force_image_size", encoder.side);
    encoder.features = decoder.hidden;
    select_layer(config, "select_layer", encoder);
    read_downsample_ratio(config, encoder);
    auto const version = config.text_or("ps_version", "v1");
    if (version != "v1" && version != "v2") {
        config.fail("ps_version", "is \"" + version + "\", supported are v1 and v2");
    }
    encoder.by_columns = version == "v1";
    expect_flag(config, "pad2square", false);
    expect_no_lora(config, "use_backbone_lora");
    expect_no_lora(config, "use_llm_lora");
    for (auto const key : harmless_outside) config.ignore(key);
    decoder.vision = encoder;
    return decoder;
}

}  // namespace tesserank::model::architectures
