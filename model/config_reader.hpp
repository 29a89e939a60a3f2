#pragma once

#include "model/config_value.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// Reads one JSON object of a config.json and remembers which keys were understood, so that
/// finish() can refuse the others: a key that changes the computation and is silently ignored would
/// give wrong answers. Errors: InputError naming the key, the value found and the one expected.
class ConfigReader {
  public:
    /// `where` names the object in messages, e.g. "config.json" or "config.json: rope_scaling".
    ConfigReader(ConfigValue::Object const& object, std::string where);

    bool has(std::string_view key) const;  ///< present and not null
    std::size_t size(std::string_view key);
    std::size_t size_or(std::string_view key, std::size_t fallback);
    /// Like size_or(), but 0 is a value too.
    std::size_t count_or(std::string_view key, std::size_t fallback);
    /// One integer or an array of integers, each at least 1.
    std::vector<std::size_t> sizes(std::string_view key);
    /// Any integer, of either sign.
    std::int64_t index_or(std::string_view key, std::int64_t fallback);
    double number(std::string_view key);
    double number_or(std::string_view key, double fallback);
    bool flag_or(std::string_view key, bool fallback);
    std::string text(std::string_view key);
    std::string text_or(std::string_view key, std::string_view fallback);
    std::vector<std::string> texts(std::string_view key);
    /// One integer or an array of integers.
    std::vector<std::int32_t> token_ids(std::string_view key);
    /// A nested object; nullopt when absent or null.
    std::optional<ConfigReader> object(std::string_view key);
    /// Marks a key as understood without reading it.
    void ignore(std::string_view key);

    /// Errors: InputError listing the keys that nobody read and that are not in `harmless`. One
    /// that is null says nothing.
    void finish(std::span<std::string_view const> harmless) const;

    [[noreturn]] void fail(std::string_view key, std::string_view found_and_expected) const;

  private:
    ConfigValue const& at(std::string_view key);
    std::size_t integer(std::string_view key, std::int64_t smallest);
    std::size_t integer(std::string_view key, ConfigValue const& found,
                        std::int64_t smallest) const;

    ConfigValue::Object const* object_;
    std::string where_;
    std::set<std::string, std::less<>> understood_;
};

/// A value as a short text for messages.
std::string describe(ConfigValue const& value);

}  // namespace tesserank::model
