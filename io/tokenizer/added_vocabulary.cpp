#include "io/tokenizer/added_vocabulary.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/unicode.hpp"
#include "io/tokenizer/utf8.hpp"

#include <algorithm>

namespace tesserank::io::detail {
namespace {

bool is_single_word(std::string_view text, Span match) {
    auto const word_before = match.begin > 0 && is_word(character_before(text, match.begin).value);
    auto const word_after = match.end < text.size() && is_word(character_at(text, match.end).value);
    return !word_before && !word_after;
}

/// Where the white space in front of `end` begins, but not before `least`.
std::size_t start_of_space(std::string_view text, std::size_t least, std::size_t end) {
    while (end > least) {
        auto const [value, size] = character_before(text, end);
        if (!is_whitespace(value)) break;
        end -= size;
    }
    return end;
}

std::size_t end_of_space(std::string_view text, std::size_t begin) {
    while (begin < text.size()) {
        auto const [value, size] = character_at(text, begin);
        if (!is_whitespace(value)) break;
        begin += size;
    }
    return begin;
}

AddedVocabulary::Token token_from_json(JsonNode const& node) {
    node.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedVocabulary::Token token;
    token.content = node.at("content").string();
    token.text = token.content;
    token.single_word = node.at("single_word").boolean();
    token.left_strip = node.at("lstrip").boolean();
    token.right_strip = node.at("rstrip").boolean();
    token.normalized = node.at("normalized").boolean();
    token.special = node.at("special").boolean();
    return token;
}

}  // namespace

AddedVocabulary::AddedVocabulary(JsonNode const& node, Vocabulary const& vocabulary,
                                 Normalizer const& normalizer) {
    RegexScratch scratch;
    for (auto const& element : node.elements()) add(element, vocabulary, normalizer, scratch);
    mark_skipped();
}

/// Ids are not free: a token of the model keeps its id there, the others follow the model's tokens.
void AddedVocabulary::check_id(JsonNode const& node, std::int32_t id,
                               Vocabulary const& vocabulary) {
    auto const& content = node.at("content").string();
    auto const known = vocabulary.id_of(content);
    auto const expected =
        known ? *known : static_cast<std::int32_t>(vocabulary.token_count() + new_tokens_++);
    if (id != expected) {
        node.fail("the token " + quote_name(content) + " has the id " + std::to_string(id) +
                  ", but its place in the vocabulary gives it " + std::to_string(expected));
    }
    if (!known && vocabulary.token(id) != nullptr) {
        node.fail("the id " + std::to_string(id) + " belongs to the model's token " +
                  quote_name(*vocabulary.token(id)));
    }
}

void AddedVocabulary::add(JsonNode const& node, Vocabulary const& vocabulary,
                          Normalizer const& normalizer, RegexScratch& scratch) {
    auto token = token_from_json(node);
    auto const id = static_cast<std::int32_t>(node.at("id").integer(0, INT32_MAX));
    if (ids_.contains(token.content)) node.fail("the token is there twice");
    check_id(node, id, vocabulary);
    if (token.normalized && !normalizer.does_nothing()) {
        NormalizedText text{.text = token.content};
        normalizer.apply(text, scratch);
        token.text = std::move(text.text);
    }
    if (token.text.empty() || token.text.size() > TokenTrie::longest_string) {
        node.fail("the token's text is empty or longer than " +
                  std::to_string(TokenTrie::longest_string) + " bytes");
    }
    if (!(token.normalized ? normalized_ : raw_).insert(token.text, id)) {
        node.fail("another token becomes the same text, " + quote_name(token.text));
    }
    ids_.emplace(token.content, id);
    tokens_.emplace(id, std::move(token));
}

/// As in the original, a token is skipped if its text is the content of a special one: a special
/// token that is normalised to something else is not.
void AddedVocabulary::mark_skipped() {
    for (auto& [id, token] : tokens_) {
        auto const same = ids_.find(token.text);
        token.skipped = same != ids_.end() && tokens_.at(same->second).special;
    }
}

std::vector<AddedVocabulary::Part> AddedVocabulary::split(std::string_view text,
                                                          TokenTrie const& trie) const {
    std::vector<Part> parts;
    std::size_t done = 0;
    Span space{0, 0};  // that right_strip found last: the matches within it are not to look again
    for (std::size_t at = 0; auto const match = trie.find(text, at);) {
        at = match->end;
        auto span = Span{match->begin, match->end};
        auto const& token = tokens_.at(match->id);
        if (token.single_word && !is_single_word(text, span)) continue;
        if (token.left_strip) span.begin = std::max(done, start_of_space(text, done, span.begin));
        if (token.right_strip) {
            if (span.end < space.begin || span.end > space.end) {
                space = {span.end, end_of_space(text, span.end)};
            }
            span.end = space.end;
        }
        if (done < span.begin) parts.push_back({{done, span.begin}, std::nullopt});
        // Empty where an earlier token's right_strip has taken the spaces that this one stands for.
        if (span.begin < span.end) parts.push_back({span, match->id});
        done = span.end;
    }
    if (done < text.size()) parts.push_back({{done, text.size()}, std::nullopt});
    return parts;
}

std::optional<std::int32_t> AddedVocabulary::id_of(std::string_view content) const {
    auto const found = ids_.find(content);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
}

AddedVocabulary::Token const* AddedVocabulary::token(std::int32_t id) const {
    auto const found = tokens_.find(id);
    return found == tokens_.end() ? nullptr : &found->second;
}

std::size_t AddedVocabulary::largest_id_plus_one() const {
    return tokens_.empty() ? 0 : static_cast<std::size_t>(tokens_.rbegin()->first) + 1;
}

}  // namespace tesserank::io::detail
