#pragma once

#include "kernels/error.hpp"
#include "model/config_value.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace tesserank::test {

using Object = model::ConfigValue::Object;

/// A JSON value from a C++ one: number, text, flag, nullptr, object, or any range of those.
template <class T>
model::ConfigValue json(T const& from) {
    using model::ConfigValue;
    if constexpr (std::same_as<T, ConfigValue>) {
        return from;
    } else if constexpr (std::same_as<T, std::nullptr_t>) {
        return {};
    } else if constexpr (std::same_as<T, bool> || std::same_as<T, Object>) {
        return {.value = from};
    } else if constexpr (std::integral<T>) {
        return {.value = static_cast<std::int64_t>(from)};
    } else if constexpr (std::floating_point<T>) {
        return {.value = static_cast<double>(from)};
    } else if constexpr (std::is_constructible_v<std::string_view, T const&>) {
        return {.value = std::string(std::string_view(from))};
    } else {
        ConfigValue::Array array;
        for (auto const& element : from) array.push_back(json(element));
        return {.value = array};
    }
}

struct Entry {
    std::string key;
    model::ConfigValue value;
    template <class T>
    Entry(std::string_view name, T const& from) : key{name}, value{json(from)} {}
};

/// `base` with some keys added or replaced.
inline Object with(Object base, std::initializer_list<Entry> entries) {
    for (auto const& entry : entries) base[entry.key] = entry.value;
    return base;
}

inline Object object(std::initializer_list<Entry> entries) { return with({}, entries); }

inline Object without(Object base, std::string_view key) {
    base.erase(base.find(key));
    return base;
}

/// The smallest config.json of a family that is complete, as transformers 4 spells it.
inline Object tiny_config(std::string_view model_type) {
    return object({{"model_type", model_type},
                   {"vocab_size", 100},
                   {"hidden_size", 64},
                   {"intermediate_size", 96},
                   {"num_hidden_layers", 4},
                   {"num_attention_heads", 4},
                   {"num_key_value_heads", 2},
                   {"hidden_act", "silu"},
                   {"max_position_embeddings", 128},
                   {"rms_norm_eps", 1e-5},
                   {"eos_token_id", 7}});
}

/// The message of the InputError that `work` throws; says so when it throws none.
template <class F>
std::string input_error_of(F&& work) {
    try {
        work();
    } catch (kernels::InputError const& error) {
        return error.what();
    }
    return "no InputError";
}

}  // namespace tesserank::test
