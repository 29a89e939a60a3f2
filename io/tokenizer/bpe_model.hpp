#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/bpe_merge.hpp"
#include "io/tokenizer/merge_rules.hpp"
#include "io/tokenizer/vocabulary.hpp"
#include "io/tokenizer/word_cache.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// What one thread needs to tokenise: reused from word to word, for one BpeModel.
struct BpeScratch {
    WordCache cache;
    BpeMerger merger;
    std::vector<std::int32_t> word;
};

/// The `model` of a tokenizer.json, of type BPE: words to tokens.
class BpeModel {
  public:
    /// Errors: InputError for other types of model, and for dropout, continuing_subword_prefix and
    /// end_of_word_suffix, which are not supported.
    static BpeModel from_json(JsonNode const& node);

    Vocabulary const& vocabulary() const { return vocabulary_; }

    /// Appends the tokens of `word`, which must be valid UTF-8, to `tokens`.
    void tokenize(std::string_view word, BpeScratch& scratch,
                  std::vector<std::int32_t>& tokens) const;

  private:
    explicit BpeModel(JsonNode const& node);
    void fill_tables();

    std::optional<std::int32_t> id_of_character(std::string_view character) const;
    std::size_t end_of_part(std::string_view word, std::size_t begin) const;
    void tokenize_short(std::string_view word, BpeScratch& scratch,
                        std::vector<std::int32_t>& tokens) const;
    std::vector<std::int32_t> const& merged(std::string_view part, BpeScratch& scratch) const;
    void split_to_characters(std::string_view part, std::vector<std::int32_t>& tokens) const;
    bool append_byte_tokens(std::string_view character, std::vector<std::int32_t>& tokens) const;

    static constexpr std::size_t two_byte_characters = 0x800;
    static constexpr std::int32_t no_id = -1;

    Vocabulary vocabulary_;
    MergeRules rules_;
    std::optional<std::string> unknown_token_;
    std::optional<std::int32_t> unknown_id_;
    bool fuse_unknown_ = false;
    bool byte_fallback_ = false;
    bool ignore_merges_ = false;
    std::array<std::int32_t, 256> byte_ids_{};  // of "<0x00>" ... "<0xFF>"
    std::vector<std::int32_t> character_ids_;   // of the characters below two_byte_characters
};

}  // namespace tesserank::io::detail
