#include "io/tokenizer/split.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

namespace tesserank::io::detail {
namespace {

/// A part of a text and whether it is a delimiter.
struct Part {
    Span span;
    bool is_delimiter;
};

std::vector<Part> parts_of(Span whole, std::vector<Span> const& matches, Delimiters delimiters) {
    auto const matches_delimit = delimiters == Delimiters::matches;
    std::vector<Part> parts;
    auto at = whole.begin;
    for (auto const match : matches) {
        if (at != match.begin) parts.push_back({{at, match.begin}, !matches_delimit});
        parts.push_back({match, matches_delimit});
        at = match.end;
    }
    if (at != whole.end) parts.push_back({{at, whole.end}, !matches_delimit});
    return parts;
}

/// Joins each part to the one before it where `joins(part, part before)` says so.
template <class Joins>
std::vector<Part> joined(std::vector<Part> const& parts, Joins joins) {
    std::vector<Part> out;
    bool previous = false;
    for (auto const& part : parts) {
        if (!out.empty() && joins(part.is_delimiter, previous)) {
            auto& span = out.back().span;
            span = {std::min(span.begin, part.span.begin), std::max(span.end, part.span.end)};
        } else {
            out.push_back({part.span, false});
        }
        previous = part.is_delimiter;
    }
    return out;
}

bool first_delimiter(bool delimiter, bool previous) { return delimiter && !previous; }

}  // namespace

SplitBehavior split_behavior_from_json(JsonNode const& node) {
    using enum SplitBehavior;
    constexpr auto names = std::to_array<std::pair<std::string_view, SplitBehavior>>(
        {{"Removed", removed},
         {"Isolated", isolated},
         {"MergedWithPrevious", merged_with_previous},
         {"MergedWithNext", merged_with_next},
         {"Contiguous", contiguous}});
    for (auto const& [name, behavior] : names) {
        if (node.string() == name) return behavior;
    }
    node.fail_expected("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void cut(Span whole, std::vector<Span> const& matches, SplitBehavior behavior,
         Delimiters delimiters, std::vector<Span>& pieces) {
    auto parts = parts_of(whole, matches, delimiters);
    switch (behavior) {
        case SplitBehavior::isolated:
        case SplitBehavior::removed:
            break;
        case SplitBehavior::contiguous:
            parts = joined(parts, std::equal_to<>());
            break;
        case SplitBehavior::merged_with_previous:
            parts = joined(parts, first_delimiter);
            break;
        case SplitBehavior::merged_with_next:
            std::reverse(parts.begin(), parts.end());
            parts = joined(parts, first_delimiter);
            std::reverse(parts.begin(), parts.end());
            break;
    }
    auto const removes = behavior == SplitBehavior::removed;
    for (auto const& [span, is_delimiter] : parts) {
        if (span.begin != span.end && !(removes && is_delimiter)) pieces.push_back(span);
    }
}

}  // namespace tesserank::io::detail
