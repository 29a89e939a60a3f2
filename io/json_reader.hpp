#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::io {

/// One value of a JSON text that came from outside, with the place where it stands. Every access is
/// checked; errors name the file, the place in it, what was found and what was expected. Valid as
/// long as its JsonDocument.
class JsonNode {
  public:
    JsonNode(nlohmann::json const& value, std::string path);

    /// For messages: "tokenizer.json: model.merges[3]".
    std::string const& path() const { return path_; }

    bool is_null() const;
    bool is_object() const;
    bool is_array() const;
    bool is_string() const;
    bool is_number() const;

    /// The member `key`, which must exist.
    JsonNode at(std::string_view key) const;
    /// The member `key`; nullopt where it is missing or null.
    std::optional<JsonNode> find(std::string_view key) const;
    /// Keys and values of an object, sorted by key.
    std::vector<std::pair<std::string, JsonNode>> members() const;
    /// Errors: InputError naming the first key that is not one of `known`.
    void allow_only(std::initializer_list<std::string_view> known) const;

    /// Elements of a list.
    std::size_t size() const;
    JsonNode element(std::size_t index) const;
    /// All of them: about 50 bytes for each, besides its path.
    std::vector<JsonNode> elements() const;

    std::string const& string() const;
    bool boolean() const;
    /// A whole number from `least` to `most`.
    std::int64_t integer(std::int64_t least, std::int64_t most) const;
    double number() const;

    /// The member's value, or `otherwise` where it is missing or null.
    bool boolean_or(std::string_view key, bool otherwise) const;

    nlohmann::json const& value() const { return *value_; }

    /// Throws InputError: "<path>: <message>".
    [[noreturn]] void fail(std::string_view message) const;
    /// Throws InputError: "<path>: found <this value>, expected <what>".
    [[noreturn]] void fail_expected(std::string_view what) const;

  private:
    nlohmann::json const* value_;
    std::string path_;
};

/// Refuses, with an InputError naming `origin`: a text that is not JSON or not UTF-8, an object
/// with the same key twice, more than 64 levels.
void check_json(std::string_view text, std::string_view origin);

/// A parsed JSON text.  Errors: see check_json.
class JsonDocument {
  public:
    JsonDocument(std::string_view text, std::string_view origin);
    ~JsonDocument();
    JsonDocument(JsonDocument&&) noexcept;
    JsonDocument& operator=(JsonDocument&&) noexcept;

    JsonNode root() const;

  private:
    std::unique_ptr<nlohmann::json const> value_;
    std::string origin_;
};

}  // namespace tesserank::io
