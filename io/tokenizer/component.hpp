#pragma once

#include "io/json_reader.hpp"

#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// The steps of a normalizer, pre-tokenizer, post-processor or decoder in their order: the
/// component itself, or the members of a Sequence under `list_key`, which may hold further
/// Sequences.
std::vector<JsonNode> steps_of(JsonNode const& component, std::string_view list_key);

/// The component's "type".
std::string const& type_of(JsonNode const& component);

/// Throws InputError for a type that is not supported here.
[[noreturn]] void refuse_type(JsonNode const& component, std::string_view supported);

/// A string that must hold exactly one character.
std::string const& one_character(JsonNode const& node);

}  // namespace tesserank::io::detail
