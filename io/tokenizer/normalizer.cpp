#include "io/tokenizer/normalizer.hpp"

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/component.hpp"
#include "io/tokenizer/utf8.hpp"

namespace tesserank::io::detail {

Normalizer Normalizer::from_json(JsonNode const& node) {
    Normalizer normalizer;
    for (auto const& step : steps_of(node, "normalizers")) {
        normalizer.steps_.push_back(step_from_json(step));
    }
    return normalizer;
}

Normalizer::Step Normalizer::step_from_json(JsonNode const& node) {
    auto const& type = type_of(node);
    if (type == "Prepend") {
        node.allow_only({"type", "prepend"});
        return Prepend{node.at("prepend").string()};
    }
    if (type == "Replace") {
        node.allow_only({"type", "pattern", "content"});
        return Replace{Pattern::from_json(node.at("pattern")), node.at("content").string()};
    }
    if (type == "Strip") {
        node.allow_only({"type", "strip_left", "strip_right"});
        return Strip{node.at("strip_left").boolean(), node.at("strip_right").boolean()};
    }
    node.allow_only({"type"});
    if (type == "NFC") return NormalForm::nfc;
    if (type == "NFD") return NormalForm::nfd;
    if (type == "NFKC") return NormalForm::nfkc;
    if (type == "NFKD") return NormalForm::nfkd;
    if (type == "StripAccents") return StripAccents{};
    if (type == "Lowercase") return Lowercase{};
    if (type == "ByteLevel") return ByteLevel{};
    refuse_type(
        node,
        "NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, StripAccents, Lowercase or ByteLevel");
}

void Normalizer::apply(NormalizedText& text, RegexScratch& scratch) const {
    for (auto const& step : steps_) {
        std::visit([&](auto const& known) { apply_step(known, text, scratch); }, step);
        check_growth(text.text.size(), text.most_bytes);
    }
}

void Normalizer::apply_step(NormalForm form, NormalizedText& text, RegexScratch&) {
    text.text = normalized(text.text, form);
}

void Normalizer::apply_step(Prepend const& step, NormalizedText& text, RegexScratch&) {
    if (!text.text.empty()) text.text.insert(0, step.text);
}

void Normalizer::apply_step(Replace const& step, NormalizedText& text, RegexScratch& scratch) {
    std::vector<Span> matches;
    step.pattern.find_all(text.text, scratch, matches);
    if (!matches.empty() && matches.front().begin == 0) {
        // What is put in stands for the last character that is taken out.
        auto const end = matches.front().end;
        auto const one_for_one = end == 0 || end == character_size(text.text[0]);
        text.at_start = text.at_start && one_for_one && !step.content.empty();
    }
    text.text = Pattern::replaced(text.text, matches, step.content, text.most_bytes);
}

void Normalizer::apply_step(Strip step, NormalizedText& text, RegexScratch&) {
    std::size_t begin = 0;
    auto end = text.text.size();
    while (step.left && begin < end) {
        auto const first = character_at(text.text, begin);
        if (!is_whitespace(first.value)) break;
        begin += first.size;
    }
    while (step.right && begin < end) {
        auto const last = character_before(text.text, end);
        if (!is_whitespace(last.value)) break;
        end -= last.size;
    }
    text.at_start = text.at_start && begin == 0;
    text.text = text.text.substr(begin, end - begin);
}

void Normalizer::apply_step(StripAccents, NormalizedText& text, RegexScratch&) {
    std::string kept;
    kept.reserve(text.text.size());
    for (std::size_t at = 0; at < text.text.size();) {
        auto const [value, size] = character_at(text.text, at);
        if (!is_combining_mark(value)) {
            kept.append(text.text, at, size);
        } else if (at == 0) {
            text.at_start = false;
        }
        at += size;
    }
    text.text = std::move(kept);
}

void Normalizer::apply_step(Lowercase, NormalizedText& text, RegexScratch&) {
    std::string lower;
    lower.reserve(text.text.size());
    for (std::size_t at = 0; at < text.text.size();) {
        auto const [value, size] = character_at(text.text, at);
        append_lowercase(lower, value);
        at += size;
    }
    text.text = std::move(lower);
}

void Normalizer::apply_step(ByteLevel, NormalizedText& text, RegexScratch&) {
    std::string characters;
    append_byte_characters(text.text, characters);
    text.text = std::move(characters);
}

}  // namespace tesserank::io::detail
