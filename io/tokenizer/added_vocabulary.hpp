#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/normalizer.hpp"
#include "io/tokenizer/token_trie.hpp"
#include "io/tokenizer/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// The `added_tokens` of a tokenizer.json: tokens that are recognised in the text as they stand,
/// before the model sees it.
class AddedVocabulary {
  public:
    struct Token {
        std::string content;
        std::string text;  ///< the content, normalised if the token is: what decoding gives
        bool single_word = false, left_strip = false, right_strip = false;
        bool normalized = false, special = false;
        bool skipped = false;  ///< left out of a text without special tokens
    };

    /// Part of a text: an added token, or text between them.
    struct Part {
        Span span;
        std::optional<std::int32_t> id;
    };

    AddedVocabulary() = default;
    /// Errors: InputError if a token's id is not the one that its place in the vocabulary gives it.
    AddedVocabulary(JsonNode const& node, Vocabulary const& vocabulary,
                    Normalizer const& normalizer);

    /// Cuts a text that is not normalised at the tokens that are looked for there.
    std::vector<Part> split_raw(std::string_view text) const { return split(text, raw_); }
    /// Cuts normalised text at the others.
    std::vector<Part> split_normalized(std::string_view text) const {
        return split(text, normalized_);
    }

    std::optional<std::int32_t> id_of(std::string_view content) const;
    /// nullptr where no added token has this id.
    Token const* token(std::int32_t id) const;
    std::size_t largest_id_plus_one() const;

  private:
    void add(JsonNode const& node, Vocabulary const& vocabulary, Normalizer const& normalizer,
             RegexScratch& scratch);
    void check_id(JsonNode const& node, std::int32_t id, Vocabulary const& vocabulary);
    void mark_skipped();
    std::vector<Part> split(std::string_view text, TokenTrie const& trie) const;

    std::map<std::int32_t, Token> tokens_;
    std::map<std::string, std::int32_t, std::less<>> ids_;
    TokenTrie raw_, normalized_;
    std::size_t new_tokens_ = 0;  // those that the model does not have
};

}  // namespace tesserank::io::detail
