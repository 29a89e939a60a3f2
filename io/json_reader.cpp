#include "io/json_reader.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;
using nlohmann::json;

constexpr int most_levels = 64;

/// Receives the pieces of a text and builds nothing. nlohmann::json alone would keep the last of
/// two equal keys without a word, and its parser with a callback takes quadratic time.
class Checker {
  public:
    explicit Checker(std::string_view origin) : origin_(origin) {}

    static bool null() { return true; }
    static bool boolean(bool) { return true; }
    static bool number_integer(json::number_integer_t) { return true; }
    static bool number_unsigned(json::number_unsigned_t) { return true; }
    static bool number_float(json::number_float_t, json::string_t const&) { return true; }
    static bool string(json::string_t const&) { return true; }
    static bool binary(json::binary_t const&) { return true; }

    bool start_array(std::size_t) { return enter(); }
    bool end_array() { return leave(); }
    bool start_object(std::size_t) {
        keys_.emplace_back();
        return enter();
    }
    bool end_object() {
        keys_.pop_back();
        return leave();
    }
    bool key(json::string_t& name) {
        auto const [place, is_new] = keys_.back().insert(std::move(name));
        if (!is_new) fail("the key " + quote_name(*place) + " appears twice in one object");
        return true;
    }
    bool parse_error(std::size_t, std::string const&, json::exception const& error) const {
        fail("not valid JSON: " + quote_start(error.what(), 200));
    }

  private:
    bool enter() {
        if (++levels_ > most_levels) {
            fail("more than " + std::to_string(most_levels) + " levels of lists and objects");
        }
        return true;
    }
    bool leave() { return --levels_ >= 0; }
    [[noreturn]] void fail(std::string const& message) const {
        throw InputError(origin_ + ": " + message);
    }

    std::string origin_;
    std::vector<std::unordered_set<std::string>> keys_;  ///< of the objects around
    int levels_ = 0;
};

std::string describe(json const& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list of " + std::to_string(value.size());
    auto constexpr shown = std::size_t{60};
    auto text = value.dump(-1, ' ', true);
    if (text.size() > shown) text = text.substr(0, shown) + "...";
    return text;
}

std::string list_of(std::initializer_list<std::string_view> names) {
    std::string list;
    for (auto const name : names) list += (list.empty() ? "" : ", ") + std::string(name);
    return list;
}

}  // namespace

void check_json(std::string_view text, std::string_view origin) {
    // The parser would take a NUL for the end of the text and ignore what follows.
    if (auto const nul = text.find('\0'); nul != std::string_view::npos) {
        throw InputError(std::string(origin) + ": not valid JSON: byte " + std::to_string(nul) +
                         " is NUL");
    }
    Checker checker(origin);
    json::sax_parse(text.begin(), text.end(), &checker);
}

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
        members.emplace_back(key, JsonNode(value, path_ + "[" + quote_name(key) + "]"));
    }
    return members;
}

void JsonNode::allow_only(std::initializer_list<std::string_view> known) const {
    if (!is_object()) fail_expected("an object");
    for (auto const& [key, value] : value_->items()) {
        if (std::find(known.begin(), known.end(), key) != known.end()) continue;
        fail("the key " + quote_name(key) + " is not supported here (supported: " + list_of(known) +
             ")");
    }
}

std::size_t JsonNode::size() const {
    if (!is_array()) fail_expected("a list");
    return value_->size();
}

JsonNode JsonNode::element(std::size_t index) const {
    kernels::require(index < size(), "the list has no such element");
    return {(*value_)[index], path_ + "[" + std::to_string(index) + "]"};
}

std::vector<JsonNode> JsonNode::elements() const {
    std::vector<JsonNode> elements;
    elements.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) elements.push_back(element(i));
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

JsonDocument::JsonDocument(std::string_view text, std::string_view origin) : origin_(origin) {
    check_json(text, origin);
    value_ = std::make_unique<json const>(json::parse(text));
}
JsonDocument::~JsonDocument() = default;
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;

JsonNode JsonDocument::root() const { return {*value_, origin_ + ": "}; }

}  // namespace tesserank::io
