#include "io/tokenizer/merge_rules.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/utf8.hpp"

#include <string>
#include <utility>

namespace tesserank::io::detail {
namespace {

using Names = std::pair<std::string, std::string>;

Names names_of(JsonNode const& node) {
    if (node.is_array()) {
        if (node.size() != 2) node.fail_expected("two tokens");
        return {node.element(0).string(), node.element(1).string()};
    }
    auto const& text = node.string();
    auto const space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        node.fail_expected("two tokens with one space between them");
    }
    return {text.substr(0, space), text.substr(space + 1)};
}

std::int32_t known_id(std::string const& token, JsonNode const& node,
                      Vocabulary const& vocabulary) {
    auto const id = vocabulary.id_of(token);
    if (!id) node.fail("the token " + quote_name(token) + " is not in the vocabulary");
    return *id;
}

}  // namespace

MergeRules MergeRules::from_json(JsonNode const& node, Vocabulary const& vocabulary) {
    auto const lines = node.elements();
    MergeRules merges;
    std::uint32_t rank = 0;
    for (auto const& line : lines) {
        if (line.is_string() && line.string().starts_with("#version")) continue;
        if (line.is_string() != lines.front().is_string()) {
            line.fail("\"a b\" and [\"a\", \"b\"] are mixed");
        }
        auto const [left, right] = names_of(line);
        if (left.empty() || right.empty()) line.fail("an empty token cannot be merged");
        auto const left_id = known_id(left, line, vocabulary);
        auto const right_id = known_id(right, line, vocabulary);
        auto const result = known_id(left + right, line, vocabulary);
        merges.rules_.insert_or_assign(left_id, right_id, {.rank = rank++, .result = result});
        merges.add_joint(left, right, vocabulary);
    }
    return merges;
}

void MergeRules::add_joint(std::string const& left, std::string const& right,
                           Vocabulary const& vocabulary) {
    auto const last = character_before(left, left.size());
    auto const first = character_at(right, 0);
    auto const before = vocabulary.id_of(std::string_view(left).substr(left.size() - last.size));
    auto const after = vocabulary.id_of(std::string_view(right).substr(0, first.size));
    if (before && after) joints_.insert_or_assign(*before, *after, {});
}

}  // namespace tesserank::io::detail
