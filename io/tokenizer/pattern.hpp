#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/regex.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io::detail {

/// The size that a text of `bytes` may reach: far above what any sensible tokenizer needs, far
/// below what a few hundred steps that double it would ask for.
constexpr std::size_t most_bytes_from(std::size_t bytes) { return 64 * bytes + 65536; }

/// Throws InputError if a tokenizer's steps have made more than `most_bytes` of a text.
void check_growth(std::size_t bytes, std::size_t most_bytes);

/// What a Split or Replace looks for: a string, a regular expression, or any number character.
class Pattern {
  public:
    /// {"String": "..."} or {"Regex": "..."}.
    static Pattern from_json(JsonNode const& node);
    static Pattern literal(std::string text);
    static Pattern regex(std::string_view oniguruma) { return Pattern(Regex(oniguruma)); }
    static Pattern numeric_character() { return Pattern(Numeric{}); }

    /// Appends every match in `text`, which must be valid UTF-8, from left to right. Matches do not
    /// overlap.
    void find_all(std::string_view text, RegexScratch& scratch, std::vector<Span>& matches) const;

    /// `text` with each of `matches` replaced by `content`. Errors: InputError if that makes more
    /// than `most_bytes`.
    static std::string replaced(std::string_view text, std::vector<Span> const& matches,
                                std::string_view content, std::size_t most_bytes);

    /// The string that is looked for; nullptr if it is not a string.
    std::string const* as_literal() const { return std::get_if<std::string>(&kind_); }

  private:
    struct Numeric {};
    using Kind = std::variant<std::string, Regex, Numeric>;
    explicit Pattern(Kind kind) : kind_(std::move(kind)) {}

    Kind kind_;
};

}  // namespace tesserank::io::detail
