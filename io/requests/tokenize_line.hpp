#pragma once

#include "io/tokenizer/tokenizer.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tesserank::io {

enum class TokenizeDirection : std::uint8_t { encode, decode };

struct TokenizeOptions {
    TokenizeDirection direction = TokenizeDirection::encode;
    Tokenizer::SpecialTokens special_tokens = Tokenizer::SpecialTokens::add;
    Tokenizer::SpecialText special_text = Tokenizer::SpecialText::skip;
};

struct TokenizedLine {
    std::string json;  ///< without the line's end
    bool failed = false;
};

/// The answer to one line of the tokenize command:
///
///     {"id": "a", "text": "..."}     encode  ->  {"id": "a", "tokens": [5, 6]}
///     {"id": "a", "prompt": "..."}   encode  ->  {"id": "a", "tokens": [5, 6]}
///     {"id": "a", "tokens": [5, 6]}  decode  ->  {"id": "a", "text": "..."}
///     a bad line                             ->  {"id": "a", "error": "line 7: ..."}
///
/// The id may be text or a whole number, and null stands for none. Other keys do nothing, so that
/// the lines of requests and results can be given as they are.
TokenizedLine tokenize_line(std::string_view line, std::size_t line_number,
                            Tokenizer const& tokenizer, TokenizeOptions const& options);

}  // namespace tesserank::io
