#include "model/architecture.hpp"

#include "kernels/error.hpp"
#include "model/architectures/common.hpp"

#include <array>

namespace tesserank::model {
namespace {

constexpr std::array known{
    Architecture{"llama", architectures::describe_llama},
    Architecture{"mistral", architectures::describe_mistral},
    Architecture{"qwen2", architectures::describe_qwen2},
    Architecture{"qwen3", architectures::describe_qwen3},
};

/// Keys that stand in many configs and do not change what inference computes. Everything else must
/// be understood.
constexpr std::array<std::string_view, 40> harmless{"_attn_implementation_autoset",
                                                    "_commit_hash",
                                                    "_name_or_path",
                                                    "add_cross_attention",
                                                    "architectures",
                                                    "attention_dropout",
                                                    "attn_implementation",
                                                    "auto_map",
                                                    "bos_token_id",
                                                    "chunk_size_feed_forward",
                                                    "cross_attention_hidden_size",
                                                    "decoder_start_token_id",
                                                    "dtype",
                                                    "finetuning_task",
                                                    "forced_bos_token_id",
                                                    "id2label",
                                                    "initializer_range",
                                                    "is_decoder",
                                                    "is_encoder_decoder",
                                                    "label2id",
                                                    "max_window_layers",
                                                    "output_attentions",
                                                    "output_hidden_states",
                                                    "pad_token_id",
                                                    "prefix",
                                                    "pretraining_tp",
                                                    "problem_type",
                                                    "pruned_heads",
                                                    "return_dict",
                                                    "return_dict_in_generate",
                                                    "sep_token_id",
                                                    "task_specific_params",
                                                    "tf_legacy_loss",
                                                    "tokenizer_class",
                                                    "torch_dtype",
                                                    "torchscript",
                                                    "transformers_version",
                                                    "unsloth_version",
                                                    "use_bfloat16",
                                                    "use_cache"};

}  // namespace

DecoderConfig describe_model(ConfigValue const& config_json) {
    auto const* object = std::get_if<ConfigValue::Object>(&config_json.value);
    if (object == nullptr) {
        throw kernels::InputError("config.json is " + describe(config_json) +
                                  ", expected an object");
    }
    ConfigReader reader(*object, "config.json");
    auto const model_type = reader.text("model_type");
    std::string names;
    for (auto const& architecture : known) {
        if (architecture.model_type == model_type) {
            auto config = architecture.describe(reader);
            config.model_type = model_type;
            reader.finish(harmless);
            config.check();
            return config;
        }
        names += (names.empty() ? "" : ", ") + std::string(architecture.model_type);
    }
    reader.fail("model_type", "is \"" + model_type + "\", supported are " + names);
}

}  // namespace tesserank::model
