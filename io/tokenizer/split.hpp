#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/regex.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// What becomes of the matches when a text is cut at them. "the-final--countdown" cut at "-":
enum class SplitBehavior : std::uint8_t {
    removed,               ///< the final countdown
    isolated,              ///< the - final - - countdown
    merged_with_previous,  ///< the- final- - countdown
    merged_with_next,      ///< the -final - -countdown
    contiguous,            ///< the - final -- countdown
};

SplitBehavior split_behavior_from_json(JsonNode const& node);

/// Whether the matches are the delimiters, or what lies between them.
enum class Delimiters : std::uint8_t { matches, gaps };

/// Appends the pieces of `whole` to `pieces`, in order, none of them empty. `matches` lie in
/// `whole`, from left to right.
void cut(Span whole, std::vector<Span> const& matches, SplitBehavior behavior,
         Delimiters delimiters, std::vector<Span>& pieces);

}  // namespace tesserank::io::detail
