#include "io/tokenizer/component.hpp"

#include "io/tokenizer/utf8.hpp"

#include <string>

namespace tesserank::io::detail {
namespace {

// JSON's own limit of nesting bounds this recursion.
void append_steps(JsonNode const& component, std::string_view list_key,
                  std::vector<JsonNode>& steps) {
    if (type_of(component) != "Sequence") {
        steps.push_back(component);
        return;
    }
    component.allow_only({"type", list_key});
    for (auto const& member : component.at(list_key).elements()) {
        append_steps(member, list_key, steps);
    }
}

}  // namespace

std::string const& type_of(JsonNode const& component) { return component.at("type").string(); }

std::vector<JsonNode> steps_of(JsonNode const& component, std::string_view list_key) {
    std::vector<JsonNode> steps;
    append_steps(component, list_key, steps);
    return steps;
}

void refuse_type(JsonNode const& component, std::string_view supported) {
    component.at("type").fail_expected("Sequence, " + std::string(supported));
}

std::string const& one_character(JsonNode const& node) {
    auto const& text = node.string();
    if (text.empty() || character_size(text[0]) != text.size()) {
        node.fail_expected("a string of one character");
    }
    return text;
}

}  // namespace tesserank::io::detail
