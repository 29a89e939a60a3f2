#pragma once

#include "io/requests/prompt.hpp"
#include "io/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// The names of a field as text and as tokens, for messages.
struct FieldNames {
    std::string_view text, tokens;
};

/// Errors: InputError naming the first that is not in the vocabulary.
void check_tokens(std::vector<std::int32_t> const& tokens, std::size_t vocabulary,
                  std::string_view name);

/// A text above 1 MiB is refused unread when it has more than 4 times the longest token's bytes for
/// each token of max_length, and by its start when its first 16 bytes for each of them are more
/// than two tokens each. Errors: InputError for those, an empty text, or no tokenizer.
std::vector<std::int32_t> encode_text(std::string const& text, FieldNames names,
                                      Tokenizer::SpecialTokens special, RequestLimits const& limits,
                                      Tokenizer const* tokenizer);

}  // namespace tesserank::io::detail
