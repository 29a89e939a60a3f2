#include "io/json_reader.hpp"

#include "kernels/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <unordered_set>

namespace tesserank::io {
namespace {

using kernels::InputError;
using nlohmann::json;

constexpr int most_levels = 64;

/// Watches the parser: nlohmann::json would keep the last of two equal keys without a word.
class ParseGuard {
  public:
    explicit ParseGuard(std::string_view origin) : origin_(origin) {}

    bool operator()(int depth, json::parse_event_t event, json const& parsed) {
        if (depth > most_levels) {
            throw InputError(origin_ + ": more than " + std::to_string(most_levels) +
                             " levels of lists and objects");
        }
        if (event == json::parse_event_t::object_start) keys_.emplace_back();
        if (event == json::parse_event_t::object_end) keys_.pop_back();
        if (event == json::parse_event_t::key) {
            auto const& key = parsed.get_ref<std::string const&>();
            if (!keys_.back().insert(key).second) {
                throw InputError(origin_ + ": the key \"" + key + "\" appears twice in one object");
            }
        }
        return true;
    }

  private:
    std::string origin_;
    std::vector<std::unordered_set<std::string>> keys_;
};

/// The parser quotes what it read, which need not be UTF-8.
std::string ascii_only(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; },
        '?');
    return text;
}

json parse(std::string_view text, std::string_view origin) {
    try {
        return json::parse(text, ParseGuard(origin));
    } catch (json::exception const& error) {
        throw InputError(std::string(origin) + ": not valid JSON: " + ascii_only(error.what()));
    }
}

std::string describe(json const& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list of " + std::to_string(value.size());
    auto constexpr shown = std::size_t{60};
    auto text = value.dump(-1, ' ', true);
    if (text.size() > shown) text = text.substr(0, shown) + "...";
    return text;
}

}  // namespace

JsonNode::JsonNode(json const& value, std::string path) : value_(&value), path_(std::move(path)) {}

bool JsonNode::is_null() const { return value_->is_null(); }
bool JsonNode::is_object() const { return value_->is_object(); }
bool JsonNode::is_array() const { return value_->is_array(); }
bool JsonNode::is_string() const { return value_->is_string(); }
bool JsonNode::is_number() const { return value_->is_number(); }

JsonNode JsonNode::at(std::string_view key) const {
    if (!is_object()) fail_expected("an object");
    auto const found = value_->find(key);
    if (found == value_->end()) fail("the key \"" + std::string(key) + "\" is missing");
    return {*found, path_ + (path_.ends_with(": ") ? "" : ".") + std::string(key)};
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
    if (!is_object()) fail_expected("an object");
    auto const found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return at(key);
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
    if (!is_object()) fail_expected("an object");
    std::vector<std::pair<std::string, JsonNode>> members;
    members.reserve(value_->size());
    for (auto const& [key, value] : value_->items()) {
        members.emplace_back(key, JsonNode(value, path_ + "[\"" + key + "\"]"));
    }
    return members;
}

void JsonNode::allow_only(std::initializer_list<std::string_view> known) const {
    if (!is_object()) fail_expected("an object");
    for (auto const& [key, value] : value_->items()) {
        if (std::find(known.begin(), known.end(), key) != known.end()) continue;
        std::string names;
        for (auto const name : known) names += (names.empty() ? "" : ", ") + std::string(name);
        fail("the key \"" + key + "\" is not supported here (supported: " + names + ")");
    }
}

std::vector<JsonNode> JsonNode::elements() const {
    if (!is_array()) fail_expected("a list");
    std::vector<JsonNode> elements;
    elements.reserve(value_->size());
    for (auto const& value : *value_) {
        elements.emplace_back(value, path_ + "[" + std::to_string(elements.size()) + "]");
    }
    return elements;
}

std::string const& JsonNode::string() const {
    if (!is_string()) fail_expected("a string");
    return value_->get_ref<std::string const&>();
}

bool JsonNode::boolean() const {
    if (!value_->is_boolean()) fail_expected("true or false");
    return value_->get<bool>();
}

std::int64_t JsonNode::integer(std::int64_t least, std::int64_t most) const {
    auto const fits_signed =
        value_->is_number_integer() &&
        (!value_->is_number_unsigned() || value_->get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
    auto const number = fits_signed ? value_->get<std::int64_t>() : 0;
    if (!fits_signed || number < least || number > most) {
        fail_expected("a whole number from " + std::to_string(least) + " to " +
                      std::to_string(most));
    }
    return number;
}

double JsonNode::number() const {
    if (!is_number()) fail_expected("a number");
    return value_->get<double>();
}

bool JsonNode::boolean_or(std::string_view key, bool otherwise) const {
    auto const member = find(key);
    return member ? member->boolean() : otherwise;
}

void JsonNode::fail(std::string_view message) const {
    auto const separator = path_.ends_with(": ") ? "" : ": ";
    throw InputError(path_ + separator + std::string(message));
}

void JsonNode::fail_expected(std::string_view what) const {
    fail("found " + describe(*value_) + ", expected " + std::string(what));
}

JsonDocument::JsonDocument(std::string_view text, std::string_view origin)
    : value_(std::make_unique<json const>(parse(text, origin))), origin_(origin) {}
JsonDocument::~JsonDocument() = default;
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;

JsonNode JsonDocument::root() const { return {*value_, origin_ + ": "}; }

}  // namespace tesserank::io
