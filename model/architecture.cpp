#include "model/architecture.hpp"

#include "kernels/error.hpp"
#include "model/architectures/common.hpp"
#include "model/architectures/harmless_keys.hpp"
#include "model/architectures/vision.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

namespace tesserank::model {
namespace {

constexpr std::array text_families{
    Architecture{"internlm2", architectures::describe_internlm2},
    Architecture{"llama", architectures::describe_llama},
    Architecture{"mistral", architectures::describe_mistral},
    Architecture{"qwen2", architectures::describe_qwen2},
    Architecture{"qwen3", architectures::describe_qwen3},
};
constexpr std::array vision_families{
    Architecture{"internvl", architectures::describe_internvl},
    Architecture{"internvl_chat", architectures::describe_internvl_chat},
};

std::string names_of(std::span<Architecture const> families) {
    std::string names;
    for (auto const& family : families) {
        names += (names.empty() ? "" : ", ") + std::string(family.model_type);
    }
    return names;
}

/// nullptr where there is none.
Architecture const* find(std::span<Architecture const> families, std::string_view model_type) {
    auto const found = std::ranges::find(families, model_type, &Architecture::model_type);
    return found == families.end() ? nullptr : &*found;
}

DecoderConfig describe_by(Architecture const& family, ConfigReader& config) {
    auto decoder = family.describe(config);
    decoder.model_type = family.model_type;
    config.finish(architectures::harmless_keys());
    decoder.check();
    return decoder;
}

}  // namespace

DecoderConfig describe_text_model(ConfigReader& config) {
    auto const model_type = config.text("model_type");
    if (auto const* const family = find(text_families, model_type)) {
        return describe_by(*family, config);
    }
    config.fail("model_type",
                "is \"" + model_type + "\", supported are " + names_of(text_families));
}

DecoderConfig describe_model(ConfigValue const& config_json) {
    auto const* object = std::get_if<ConfigValue::Object>(&config_json.value);
    if (object == nullptr) {
        throw kernels::InputError("config.json is " + describe(config_json) +
                                  ", expected an object");
    }
    ConfigReader reader(*object, "config.json");
    auto const model_type = reader.text("model_type");
    for (std::span<Architecture const> const families :
         {std::span<Architecture const>(text_families),
          std::span<Architecture const>(vision_families)}) {
        if (auto const* const family = find(families, model_type)) {
            return describe_by(*family, reader);
        }
    }
    reader.fail("model_type", "is \"" + model_type + "\", supported are " +
                                  names_of(text_families) + ", " + names_of(vision_families));
}

void match_names(DecoderConfig& config, std::function<bool(std::string_view)> const& has_tensor) {
    if (config.model_type != "internvl" || has_tensor(config.names.embedding)) return;
    auto newer = config;
    architectures::use_newer_names(newer);
    if (has_tensor(newer.names.embedding)) config = std::move(newer);
}

}  // namespace tesserank::model
