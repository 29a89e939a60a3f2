#include "io/requests/generation_defaults.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <limits>
#include <string>
#include <string_view>

namespace tesserank::io {
namespace {

using model::ConfigValue;

[[noreturn]] void fail(std::string_view key, std::string_view expected) {
    throw kernels::InputError("generation_config: " + std::string(key) + ": expected " +
                              std::string(expected));
}

ConfigValue::Object const& object_of(ConfigValue const& config) {
    auto const* object = std::get_if<ConfigValue::Object>(&config.value);
    if (object == nullptr) fail("the whole", "an object");
    return *object;
}

/// Null counts as not there.
ConfigValue const* find(ConfigValue const& config, std::string_view key) {
    auto const& object = object_of(config);
    auto const found = object.find(key);
    return found == object.end() || found->second.is_null() ? nullptr : &found->second;
}

bool is_set(ConfigValue const& config, std::string_view key) {
    auto const* found = find(config, key);
    if (found == nullptr) return false;
    auto const* value = std::get_if<bool>(&found->value);
    if (value == nullptr) fail(key, "true or false");
    return *value;
}

struct NumberRange {
    double least, most;
};

void read(ConfigValue const& config, std::string_view key, NumberRange range, auto& field) {
    auto const* found = find(config, key);
    if (found == nullptr) return;
    double value = std::numeric_limits<double>::quiet_NaN();
    if (auto const* whole = std::get_if<std::int64_t>(&found->value)) {
        value = static_cast<double>(*whole);
    } else if (auto const* real = std::get_if<double>(&found->value)) {
        value = *real;
    }
    if (!(value >= range.least && value <= range.most)) {
        std::string words = "a number from ";
        append_json(words, range.least);
        append_json(words += " to ", range.most);
        fail(key, words);
    }
    field = static_cast<std::remove_reference_t<decltype(field)>>(value);
}

}  // namespace

model::SamplingOptions default_sampling(ConfigValue const& generation_config) {
    model::SamplingOptions options;
    read(generation_config, "repetition_penalty", {0.01, 100.0}, options.repetition_penalty);
    if (!is_set(generation_config, "do_sample")) return options;
    auto constexpr tiny = static_cast<double>(std::numeric_limits<float>::min());
    options.temperature = 1.0F;
    read(generation_config, "temperature", {0.0, 100.0}, options.temperature);
    if (!object_of(generation_config).contains("top_k")) options.top_k = 50;
    read(generation_config, "top_k", {0.0, std::numeric_limits<std::int32_t>::max()},
         options.top_k);
    read(generation_config, "top_p", {tiny, 1.0}, options.top_p);
    read(generation_config, "min_p", {0.0, 1.0}, options.min_p);
    return options;
}

}  // namespace tesserank::io
