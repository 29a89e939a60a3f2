#include "io/tokenizer/tokenizer_data.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::io {
namespace detail {

std::unique_ptr<EncodeScratch> ScratchPool::take() {
    std::lock_guard const lock(mutex_);
    if (free_.empty()) return std::make_unique<EncodeScratch>();
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
}

void ScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
    // What one long word has needed is not kept for the rest of the run.
    if (scratch->bpe.word.capacity() > most_kept_tokens) return;
    std::lock_guard const lock(mutex_);
    free_.push_back(std::move(scratch));
}

}  // namespace detail

namespace {

/// The component that `key` describes, or one that does nothing where the file has none.
template <class Component, class... More>
Component component(JsonNode const& root, std::string_view key, More... more) {
    auto const node = root.find(key);
    return node ? Component::from_json(*node, more...) : Component();
}

void check_header(JsonNode const& root) {
    root.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer",
                     "pre_tokenizer", "post_processor", "decoder", "model"});
    auto const version = root.find("version");
    if (version && version->string() != "1.0") version->fail_expected("\"1.0\"");
}

detail::AddedVocabulary read_added(JsonNode const& root, detail::Vocabulary const& vocabulary,
                                   detail::Normalizer const& normalizer) {
    auto const node = root.find("added_tokens");
    if (!node) return {};
    return {*node, vocabulary, normalizer};
}

}  // namespace

Tokenizer::Data::Data(JsonNode const& root)
    : model((check_header(root), detail::BpeModel::from_json(root.at("model")))),
      normalizer(component<detail::Normalizer>(root, "normalizer")),
      pre_tokenizer(component<detail::PreTokenizer>(root, "pre_tokenizer")),
      added(read_added(root, model.vocabulary(), normalizer)),
      decoder(component<detail::Decoder>(root, "decoder")) {
    collect_tokens();
    post_processor = component<detail::PostProcessor>(root, "post_processor", tokens.size());
}

void Tokenizer::Data::collect_tokens() {
    auto const& vocabulary = model.vocabulary();
    tokens.resize(std::max(vocabulary.largest_id_plus_one(), added.largest_id_plus_one()));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        auto const id = static_cast<std::int32_t>(i);
        if (auto const* const token = added.token(id)) {
            tokens[i] = {.text = token->text, .exists = true, .skipped = token->skipped};
        } else if (auto const* const text = vocabulary.token(id)) {
            tokens[i] = {.text = *text, .exists = true};
        }
        longest_token_bytes = std::max(longest_token_bytes, tokens[i].text.size());
    }
}

Tokenizer::Data::Token const* Tokenizer::Data::find(std::int32_t id) const {
    auto const index = static_cast<std::size_t>(id);
    return id >= 0 && index < tokens.size() ? &tokens[index] : nullptr;
}

std::vector<std::int32_t> Tokenizer::Data::encode(std::string_view text,
                                                  detail::EncodeScratch& scratch) const {
    std::vector<std::int32_t> out;
    out.reserve(text.size() / 3);
    for (auto const& [span, id] : added.split_raw(text)) {
        if (id) {
            out.push_back(*id);
        } else {
            auto const segment = text.substr(span.begin, span.end - span.begin);
            encode_segment(segment, span.begin == 0, scratch, out);
        }
    }
    return out;
}

/// Encodes a text between two of the added tokens that are looked for before normalising.
void Tokenizer::Data::encode_segment(std::string_view segment, bool at_start,
                                     detail::EncodeScratch& scratch,
                                     std::vector<std::int32_t>& out) const {
    detail::NormalizedText normalized{.text = std::string(segment), .at_start = at_start};
    normalizer.apply(normalized, scratch.regex);
    auto const text = std::string_view(normalized.text);
    for (auto const& [span, id] : added.split_normalized(text)) {
        if (id) {
            out.push_back(*id);
            continue;
        }
        auto const part = text.substr(span.begin, span.end - span.begin);
        detail::PieceList list{.text = std::string(part),
                               .pieces = {{0, part.size()}},
                               .first_at_start = normalized.at_start && span.begin == 0};
        pre_tokenizer.apply(list, scratch.regex);
        for (std::size_t i = 0; i < list.pieces.size(); ++i) {
            model.tokenize(list[i], scratch.bpe, out);
        }
    }
}

}  // namespace tesserank::io
