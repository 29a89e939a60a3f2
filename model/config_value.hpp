#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace tesserank::model {

/// A JSON value as plain data, so that a model's description needs no JSON library; io makes it
/// from config.json.
struct ConfigValue {
    using Array = std::vector<ConfigValue>;
    using Object = std::map<std::string, ConfigValue, std::less<>>;
    std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value =
        nullptr;

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
};

}  // namespace tesserank::model
