#include "io/requests/config_json.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

using model::ConfigValue;
using nlohmann::json;

/// Builds the value as the parser goes, so that depth and doubled keys are seen before they can do
/// harm.
class ConfigBuilder {
  public:
    explicit ConfigBuilder(std::string_view origin) : origin_(origin) {}

    bool null() { return put({.value = nullptr}); }
    bool boolean(bool value) { return put({.value = value}); }
    bool number_integer(json::number_integer_t value) { return put({.value = value}); }
    bool number_unsigned(json::number_unsigned_t value) {
        if (!std::in_range<std::int64_t>(value)) fail_integer(std::to_string(value));
        return put({.value = static_cast<std::int64_t>(value)});
    }
    bool number_float(json::number_float_t value, json::string_t const& text) {
        if (text.find_first_of(".eE") == text.npos) fail_integer(text);
        return put({.value = value});
    }
    bool string(json::string_t& value) { return put({.value = std::move(value)}); }
    bool binary(json::binary_t&) { return false; }

    bool start_object(std::size_t) { return open({.value = ConfigValue::Object()}); }
    bool start_array(std::size_t) { return open({.value = ConfigValue::Array()}); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }

    bool key(json::string_t& name) {
        auto& object = std::get<ConfigValue::Object>(open_.back()->value);
        auto const [member, is_new] = object.try_emplace(std::move(name));
        if (!is_new) fail("the key " + quote_start(member->first) + " appears twice in one object");
        member_ = &member->second;
        return true;
    }

    bool parse_error(std::size_t position, std::string const&, json::exception const& error) {
        fail("not valid JSON at byte " + std::to_string(position) + ": " +
             quote_start(error.what(), 200));
    }

    ConfigValue take() { return std::move(root_); }

  private:
    ConfigValue& place() {
        if (open_.empty()) return root_;
        if (member_ != nullptr) return *std::exchange(member_, nullptr);
        return std::get<ConfigValue::Array>(open_.back()->value).emplace_back();
    }
    bool put(ConfigValue value) {
        place() = std::move(value);
        return true;
    }
    bool open(ConfigValue value) {
        std::size_t constexpr most_levels = 64;
        if (open_.size() == most_levels) fail("more than 64 levels of lists and objects");
        // A list grows only after its last element is closed, so the address stays good.
        auto& where = place();
        where = std::move(value);
        open_.push_back(&where);
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }
    [[noreturn]] void fail(std::string const& message) const {
        throw kernels::InputError(origin_ + ": " + message);
    }
    [[noreturn]] void fail_integer(std::string const& text) const {
        fail("found the integer " + text.substr(0, 48) + ", expected one that fits 64 bits");
    }

    std::string origin_;
    ConfigValue root_;
    std::vector<ConfigValue*> open_;
    ConfigValue* member_ = nullptr;
};

}  // namespace

ConfigValue parse_config(std::string_view json_text, std::string_view origin) {
    ConfigBuilder builder(origin);
    // The parser would take a NUL for the end of the text and ignore what follows.
    if (json_text.find('\0') != json_text.npos) {
        throw kernels::InputError(std::string(origin) + ": not valid JSON: found a NUL byte");
    }
    json::sax_parse(json_text.begin(), json_text.end(), &builder);
    return builder.take();
}

}  // namespace tesserank::io
