#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// Appends `text` as a JSON string. Bytes that are not UTF-8 become U+FFFD, so nothing is refused.
void append_json(std::string& out, std::string_view text);
/// Appends the shortest number that reads back as the same float; null if it is not finite.
void append_json(std::string& out, float value);
void append_json(std::string& out, double value);
void append_json(std::string& out, std::integral auto value) { out += std::to_string(value); }

template <class T>
void append_json(std::string& out, std::span<T const> values) {
    out += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) out += ", ";
        append_json(out, values[i]);
    }
    out += ']';
}

/// One JSON object on one line, {"a": 1, "b": [2, 3]}; members in the order they are added.
class JsonObject {
  public:
    template <class T>
    JsonObject& add(std::string_view key, T const& value) {
        append_json(begin(key), value);
        return *this;
    }
    JsonObject& add(std::string_view key, char const* value) {
        return add(key, std::string_view(value));
    }
    JsonObject& add_null(std::string_view key) {
        begin(key) += "null";
        return *this;
    }
    /// `json` is written as it is.
    JsonObject& add_json(std::string_view key, std::string_view json) {
        begin(key) += json;
        return *this;
    }

    /// The whole object; call it once, last.
    std::string close();

  private:
    std::string& begin(std::string_view key);
    std::string text_ = "{";
};

/// At most `bytes` of a text for a message: quoted, valid UTF-8, with "..." if cut.
std::string quote_start(std::string_view text, std::size_t bytes = 48);
/// A name or pattern that comes from a file, for a message: whole unless it is longer than usual.
inline std::string quote_name(std::string_view name) { return quote_start(name, 200); }

}  // namespace tesserank::io
