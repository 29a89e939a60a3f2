#include "model/config_reader.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tesserank::model {

using kernels::InputError;

std::string describe(ConfigValue const& value) {
    struct Describe {
        std::string operator()(std::nullptr_t) const { return "null"; }
        std::string operator()(bool flag) const { return flag ? "true" : "false"; }
        std::string operator()(std::int64_t number) const { return std::to_string(number); }
        std::string operator()(double number) const { return std::to_string(number); }
        std::string operator()(std::string const& text) const {
            return '"' + text.substr(0, 60) + '"';
        }
        std::string operator()(ConfigValue::Array const& array) const {
            return "an array of " + std::to_string(array.size());
        }
        std::string operator()(ConfigValue::Object const&) const { return "an object"; }
    };
    return std::visit(Describe{}, value.value);
}

ConfigReader::ConfigReader(ConfigValue::Object const& object, std::string where)
    : object_{&object}, where_{std::move(where)} {}

bool ConfigReader::has(std::string_view key) const {
    auto const found = object_->find(key);
    return found != object_->end() && !found->second.is_null();
}

ConfigValue const& ConfigReader::at(std::string_view key) {
    auto const found = object_->find(key);
    if (found == object_->end()) fail(key, "is missing");
    understood_.emplace(key);
    return found->second;
}

std::size_t ConfigReader::integer(std::string_view key, std::int64_t smallest) {
    return integer(key, at(key), smallest);
}

std::size_t ConfigReader::integer(std::string_view key, ConfigValue const& found,
                                  std::int64_t smallest) const {
    // Sizes are multiplied with each other later; 2^31 keeps every product of two inside 64 bits.
    constexpr std::int64_t largest = std::int64_t{1} << 31;
    auto const* number = std::get_if<std::int64_t>(&found.value);
    if (number == nullptr || *number < smallest || *number > largest) {
        fail(key, "is " + describe(found) + ", expected an integer from " +
                      std::to_string(smallest) + " to 2^31");
    }
    return static_cast<std::size_t>(*number);
}

std::size_t ConfigReader::size(std::string_view key) { return integer(key, 1); }

std::size_t ConfigReader::size_or(std::string_view key, std::size_t fallback) {
    ignore(key);
    return has(key) ? size(key) : fallback;
}

std::size_t ConfigReader::count_or(std::string_view key, std::size_t fallback) {
    ignore(key);
    return has(key) ? integer(key, 0) : fallback;
}

std::vector<std::size_t> ConfigReader::sizes(std::string_view key) {
    auto const& found = at(key);
    auto const* array = std::get_if<ConfigValue::Array>(&found.value);
    if (array == nullptr) return {integer(key, found, 1)};
    std::vector<std::size_t> sizes;
    sizes.reserve(array->size());
    for (auto const& element : *array) sizes.push_back(integer(key, element, 1));
    return sizes;
}

std::int64_t ConfigReader::index_or(std::string_view key, std::int64_t fallback) {
    ignore(key);
    if (!has(key)) return fallback;
    auto const& found = at(key);
    auto const* number = std::get_if<std::int64_t>(&found.value);
    if (number == nullptr) fail(key, "is " + describe(found) + ", expected an integer");
    return *number;
}

double ConfigReader::number(std::string_view key) {
    auto const& found = at(key);
    if (auto const* integer = std::get_if<std::int64_t>(&found.value))
        return static_cast<double>(*integer);
    auto const* real = std::get_if<double>(&found.value);
    if (real == nullptr || !std::isfinite(*real))
        fail(key, "is " + describe(found) + ", expected a number");
    return *real;
}

double ConfigReader::number_or(std::string_view key, double fallback) {
    ignore(key);
    return has(key) ? number(key) : fallback;
}

bool ConfigReader::flag_or(std::string_view key, bool fallback) {
    ignore(key);
    if (!has(key)) return fallback;
    auto const& found = at(key);
    auto const* flag = std::get_if<bool>(&found.value);
    if (flag == nullptr) fail(key, "is " + describe(found) + ", expected true or false");
    return *flag;
}

std::string ConfigReader::text(std::string_view key) {
    auto const& found = at(key);
    auto const* text = std::get_if<std::string>(&found.value);
    if (text == nullptr) fail(key, "is " + describe(found) + ", expected a string");
    return *text;
}

std::string ConfigReader::text_or(std::string_view key, std::string_view fallback) {
    ignore(key);
    return has(key) ? text(key) : std::string(fallback);
}

std::vector<std::string> ConfigReader::texts(std::string_view key) {
    auto const& found = at(key);
    auto const* array = std::get_if<ConfigValue::Array>(&found.value);
    if (array == nullptr) fail(key, "is " + describe(found) + ", expected an array of strings");
    std::vector<std::string> result;
    for (auto const& element : *array) {
        auto const* text = std::get_if<std::string>(&element.value);
        if (text == nullptr) fail(key, "holds " + describe(element) + ", expected strings");
        result.push_back(*text);
    }
    return result;
}

std::vector<std::int32_t> ConfigReader::token_ids(std::string_view key) {
    ignore(key);
    if (!has(key)) return {};
    auto const& found = at(key);
    auto const* array = std::get_if<ConfigValue::Array>(&found.value);
    ConfigValue::Array const one{found};
    std::vector<std::int32_t> ids;
    for (auto const& element : array != nullptr ? *array : one) {
        auto const* id = std::get_if<std::int64_t>(&element.value);
        if (id == nullptr || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
            fail(key, "holds " + describe(element) + ", expected token ids");
        }
        ids.push_back(static_cast<std::int32_t>(*id));
    }
    return ids;
}

std::optional<ConfigReader> ConfigReader::object(std::string_view key) {
    ignore(key);
    if (!has(key)) return std::nullopt;
    auto const& found = at(key);
    auto const* object = std::get_if<ConfigValue::Object>(&found.value);
    if (object == nullptr) fail(key, "is " + describe(found) + ", expected an object");
    return ConfigReader(*object, where_ + ": " + std::string(key));
}

void ConfigReader::ignore(std::string_view key) { understood_.emplace(key); }

void ConfigReader::finish(std::span<std::string_view const> harmless) const {
    std::string unknown;
    for (auto const& [key, value] : *object_) {
        bool const known = value.is_null() || understood_.contains(key) ||
                           std::ranges::find(harmless, key) != harmless.end();
        if (known) continue;
        unknown += (unknown.empty() ? "" : ", ") + key + " = " + describe(value);
    }
    if (unknown.empty()) return;
    throw InputError(where_ + ": not understood: " + unknown +
                     ". It may change the computation, so it is not ignored; remove it from the "
                     "model's config if "
                     "you know that it does not");
}

void ConfigReader::fail(std::string_view key, std::string_view found_and_expected) const {
    throw InputError(where_ + ": " + std::string(key) + " " + std::string(found_and_expected));
}

}  // namespace tesserank::model
