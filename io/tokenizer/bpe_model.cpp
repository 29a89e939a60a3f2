#include "io/tokenizer/bpe_model.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

namespace tesserank::io::detail {
namespace {

constexpr std::size_t longest_word = std::size_t{1} << 30;  // positions in it have 32 bits

void refuse_text(JsonNode const& node, std::string_view key) {
    auto const value = node.find(key);
    if (value && !value->string().empty()) value->fail_expected("null: it is not supported");
}

void check_kind(JsonNode const& node) {
    auto const type = node.find("type");  // files of the first versions have none
    if (type && type->string() != "BPE") type->fail_expected("BPE: no other model is supported");
    node.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                     "merges"});
    auto const dropout = node.find("dropout");
    if (dropout && dropout->number() != 0) {
        dropout->fail_expected("null: dropout makes results random and is not supported");
    }
    refuse_text(node, "continuing_subword_prefix");
    refuse_text(node, "end_of_word_suffix");
}

std::string byte_token(unsigned byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

}  // namespace

BpeModel BpeModel::from_json(JsonNode const& node) {
    check_kind(node);
    return BpeModel(node);
}

BpeModel::BpeModel(JsonNode const& node)
    : vocabulary_(Vocabulary::from_json(node.at("vocab"))),
      rules_(MergeRules::from_json(node.at("merges"), vocabulary_)),
      fuse_unknown_(node.boolean_or("fuse_unk", false)),
      byte_fallback_(node.boolean_or("byte_fallback", false)),
      ignore_merges_(node.boolean_or("ignore_merges", false)) {
    if (auto const unknown = node.find("unk_token")) {
        unknown_token_ = unknown->string();
        unknown_id_ = vocabulary_.id_of(*unknown_token_);
    }
    fill_tables();
}

void BpeModel::fill_tables() {
    for (unsigned byte = 0; byte < byte_ids_.size(); ++byte) {
        byte_ids_[byte] = vocabulary_.id_of(byte_token(byte)).value_or(no_id);
    }
    character_ids_.resize(two_byte_characters);
    for (char32_t value = 0; value < two_byte_characters; ++value) {
        std::string character;
        append_character(character, value);
        character_ids_[value] = vocabulary_.id_of(character).value_or(no_id);
    }
}

std::optional<std::int32_t> BpeModel::id_of_character(std::string_view character) const {
    if (character.size() > 2) return vocabulary_.id_of(character);
    auto const id = character_ids_[character_at(character, 0).value];
    if (id == no_id) return std::nullopt;
    return id;
}

void BpeModel::tokenize(std::string_view word, BpeScratch& scratch,
                        std::vector<std::int32_t>& tokens) const {
    if (word.size() <= WordCache::longest_word) return tokenize_short(word, scratch, tokens);
    if (word.size() > longest_word) throw kernels::InputError("a word of more than 1 GiB");
    if (ignore_merges_) {
        if (auto const id = vocabulary_.id_of(word)) return tokens.push_back(*id);
    }
    for (std::size_t begin = 0; begin < word.size();) {
        auto const end = end_of_part(word, begin);
        auto const part = word.substr(begin, end - begin);
        if (part.size() <= WordCache::longest_word && !ignore_merges_) {
            tokenize_short(part, scratch, tokens);
        } else {
            auto const& part_tokens = merged(part, scratch);
            tokens.insert(tokens.end(), part_tokens.begin(), part_tokens.end());
        }
        begin = end;
    }
}

void BpeModel::tokenize_short(std::string_view word, BpeScratch& scratch,
                              std::vector<std::int32_t>& tokens) const {
    if (auto const known = scratch.cache.find(word)) {
        tokens.insert(tokens.end(), known->begin(), known->end());
        return;
    }
    auto const whole = ignore_merges_ ? vocabulary_.id_of(word) : std::nullopt;
    if (whole) scratch.word = {*whole};
    auto const& word_tokens = whole ? scratch.word : merged(word, scratch);
    scratch.cache.store(word, word_tokens);
    tokens.insert(tokens.end(), word_tokens.begin(), word_tokens.end());
}

/// The first place after `begin` that no merge can cross.
std::size_t BpeModel::end_of_part(std::string_view word, std::size_t begin) const {
    auto at = begin;
    auto left = std::optional<std::int32_t>();
    while (at < word.size()) {
        auto const size = character_size(word[at]);
        auto const right = id_of_character(word.substr(at, size));
        if (left && right && !rules_.may_join(*left, *right)) return at;
        left = right;
        at += size;
    }
    return at;
}

/// The tokens of a word or part of one, in the scratch.
std::vector<std::int32_t> const& BpeModel::merged(std::string_view part,
                                                  BpeScratch& scratch) const {
    scratch.word.clear();
    split_to_characters(part, scratch.word);
    scratch.merger.merge(scratch.word, rules_);
    return scratch.word;
}

/// One token per character where there is one; else its bytes, else the unknown token, else
/// nothing.
void BpeModel::split_to_characters(std::string_view part, std::vector<std::int32_t>& tokens) const {
    auto unknown_pending = false;  // fused: one token for a row of unknown characters
    auto const flush = [&] {
        if (unknown_pending) tokens.push_back(*unknown_id_);
        unknown_pending = false;
    };
    for (std::size_t at = 0; at < part.size();) {
        auto const character = part.substr(at, character_size(part[at]));
        at += character.size();
        if (auto const id = id_of_character(character)) {
            flush();
            tokens.push_back(*id);
            continue;
        }
        // As in the original, these do not flush: the unknown token then follows them.
        if (byte_fallback_ && append_byte_tokens(character, tokens)) continue;
        if (!unknown_token_) continue;
        if (!unknown_id_) {
            throw kernels::InputError("the character " + quote_name(character) +
                                      " is not in the tokenizer's vocabulary, and neither is its "
                                      "unk_token " +
                                      quote_name(*unknown_token_));
        }
        if (!fuse_unknown_) flush();
        unknown_pending = true;
    }
    flush();
}

bool BpeModel::append_byte_tokens(std::string_view character,
                                  std::vector<std::int32_t>& tokens) const {
    auto const id_of = [this](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    for (char const byte : character) {
        if (id_of(byte) == no_id) return false;
    }
    for (char const byte : character) tokens.push_back(id_of(byte));
    return true;
}

}  // namespace tesserank::io::detail
