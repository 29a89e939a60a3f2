#include "io/tokenizer/pattern.hpp"

#include "io/tokenizer/unicode.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <cstring>

namespace tesserank::io::detail {
namespace {

/// memmem is linear in any text, which string_view::find is not.
void find_literal(std::string_view text, std::string_view wanted, std::vector<Span>& matches) {
    for (std::size_t at = 0; at < text.size();) {
        auto const* const found =
            memmem(text.data() + at, text.size() - at, wanted.data(), wanted.size());
        if (found == nullptr) return;
        auto const begin = static_cast<std::size_t>(static_cast<char const*>(found) - text.data());
        at = begin + wanted.size();
        matches.push_back({begin, at});
    }
}

void find_numeric(std::string_view text, std::vector<Span>& matches) {
    for (std::size_t at = 0; at < text.size();) {
        auto const [value, size] = character_at(text, at);
        if (is_numeric(value)) matches.push_back({at, at + size});
        at += size;
    }
}

}  // namespace

Pattern Pattern::literal(std::string text) { return Pattern(std::move(text)); }

Pattern Pattern::from_json(JsonNode const& node) {
    node.allow_only({"String", "Regex"});
    auto const text = node.find("String");
    auto const regex = node.find("Regex");
    if (text.has_value() == regex.has_value()) node.fail_expected("either String or Regex");
    if (text) {
        if (text->string().empty()) text->fail("an empty pattern is not supported");
        return literal(text->string());
    }
    try {
        return Pattern::regex(regex->string());
    } catch (kernels::InputError const& error) {
        regex->fail(error.what());
    }
}

void Pattern::find_all(std::string_view text, RegexScratch& scratch,
                       std::vector<Span>& matches) const {
    if (auto const* const wanted = std::get_if<std::string>(&kind_)) {
        find_literal(text, *wanted, matches);
    } else if (auto const* const regex = std::get_if<Regex>(&kind_)) {
        regex->find_all(text, scratch, matches);
    } else {
        find_numeric(text, matches);
    }
}

std::string Pattern::replaced(std::string_view text, std::vector<Span> const& matches,
                              std::string_view content, std::size_t most_bytes) {
    if (!content.empty()) check_growth(matches.size(), most_bytes / content.size());
    std::string out;
    out.reserve(text.size());
    std::size_t copied = 0;
    for (auto const [begin, end] : matches) {
        out.append(text.substr(copied, begin - copied)).append(content);
        copied = end;
    }
    return out.append(text.substr(copied));
}

void check_growth(std::size_t bytes, std::size_t most_bytes) {
    if (bytes <= most_bytes) return;
    throw kernels::InputError(
        "the tokenizer's normalizer, pre-tokenizer or decoder makes a text more than 64 times as "
        "long");
}

}  // namespace tesserank::io::detail
