// Cutting and rewriting text: Split behaviours, normalizers, pre-tokenizers.

#include "io/tokenizer/normalizer.hpp"
#include "io/tokenizer/pre_tokenizer.hpp"
#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io::detail {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces_of(std::string const& json, std::string const& text, bool at_start = true) {
    JsonDocument const document(json, "test");
    RegexScratch scratch;
    PieceList list{.text = text, .pieces = {{0, text.size()}}, .first_at_start = at_start};
    PreTokenizer::from_json(document.root()).apply(list, scratch);
    Pieces pieces;
    for (std::size_t i = 0; i < list.pieces.size(); ++i) pieces.emplace_back(list[i]);
    return pieces;
}

std::string normalize(std::string const& json, std::string const& text) {
    JsonDocument const document(json, "test");
    RegexScratch scratch;
    NormalizedText normalized{.text = text};
    Normalizer::from_json(document.root()).apply(normalized, scratch);
    return normalized.text;
}

std::string split(std::string const& pattern, std::string const& behavior, bool invert = false) {
    return R"({"type": "Split", "pattern": )" + pattern + R"(, "behavior": ")" + behavior +
           R"(", "invert": )" + (invert ? "true" : "false") + "}";
}

TEST(Split, DoesWithMatchesWhatItIsTold) {
    std::string const dash = R"({"String": "-"})";
    std::string const text = "the-final--countdown";
    auto const cut = [&](char const* behavior) { return pieces_of(split(dash, behavior), text); };
    EXPECT_EQ(cut("Removed"), (Pieces{"the", "final", "countdown"}));
    EXPECT_EQ(cut("Isolated"), (Pieces{"the", "-", "final", "-", "-", "countdown"}));
    EXPECT_EQ(cut("MergedWithPrevious"), (Pieces{"the-", "final-", "-", "countdown"}));
    EXPECT_EQ(cut("MergedWithNext"), (Pieces{"the", "-final", "-", "-countdown"}));
    EXPECT_EQ(cut("Contiguous"), (Pieces{"the", "-", "final", "--", "countdown"}));
}

TEST(Split, InvertedTakesTheGapsForDelimiters) {
    auto const words = R"({"Regex": "\\p{L}+"})";
    EXPECT_EQ(pieces_of(split(words, "Removed", true), "ab, cd."), (Pieces{"ab", "cd"}));
    EXPECT_EQ(pieces_of(split(words, "MergedWithPrevious", true), "ab, cd."),
              (Pieces{"ab, ", "cd."}));
}

TEST(PreTokenizer, CutsDigits) {
    EXPECT_EQ(pieces_of(R"({"type": "Digits", "individual_digits": true})", "a12½b"),
              (Pieces{"a", "1", "2", "½", "b"}));
    EXPECT_EQ(pieces_of(R"({"type": "Digits", "individual_digits": false})", "a12½b"),
              (Pieces{"a", "12½", "b"}));
}

std::string byte_level(bool add_prefix_space, bool use_regex) {
    return std::string(R"({"type": "ByteLevel", "trim_offsets": true, "add_prefix_space": )") +
           (add_prefix_space ? "true" : "false") + R"(, "use_regex": )" +
           (use_regex ? "true" : "false") + "}";
}

TEST(PreTokenizer, TurnsBytesToCharacters) {
    EXPECT_EQ(pieces_of(byte_level(false, true), "it's  é1"),
              (Pieces{"it", "'s", "Ġ", "ĠÃ©", "1"}));
    EXPECT_EQ(pieces_of(byte_level(true, false), "a b"), (Pieces{"ĠaĠb"}));
    EXPECT_EQ(pieces_of(byte_level(true, false), " a"), (Pieces{"Ġa"}));
}

std::string metaspace(std::string const& scheme, bool split_words) {
    return R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" + scheme +
           R"(", "split": )" + (split_words ? "true" : "false") + "}";
}

TEST(PreTokenizer, TurnsSpacesToMetaspaces) {
    EXPECT_EQ(pieces_of(metaspace("always", true), "a  b"), (Pieces{"▁a", "▁", "▁b"}));
    EXPECT_EQ(pieces_of(metaspace("never", false), "a b"), (Pieces{"a▁b"}));
    EXPECT_EQ(pieces_of(metaspace("first", false), "a b"), (Pieces{"▁a▁b"}));
    EXPECT_EQ(pieces_of(metaspace("first", false), "a b", false), (Pieces{"a▁b"}))
        << "after a special token";
    EXPECT_EQ(pieces_of(metaspace("first", false), " a"), (Pieces{"▁a"}));
}

TEST(PreTokenizer, RunsASequenceInOrder) {
    auto const both = R"({"type": "Sequence", "pretokenizers": [)" +
                      split(R"({"String": " "})", "Removed") + "," + metaspace("first", false) +
                      "]}";
    EXPECT_EQ(pieces_of(both, "a b"), (Pieces{"▁a", "b"})) << "b is not at the start of the text";
    EXPECT_EQ(pieces_of(both, " b"), (Pieces{"b"}));
}

TEST(Normalizer, RunsItsStepsInOrder) {
    EXPECT_EQ(normalize(R"({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})",
                        "a b"),
              "▁a▁b");
    EXPECT_EQ(normalize(R"({"type": "Prepend", "prepend": "▁"})", ""), "");
    EXPECT_EQ(normalize(R"({"type": "NFC"})", "e\u0301"), "é");
    EXPECT_EQ(normalize(R"({"type": "Lowercase"})", "ÀB"), "àb");
    EXPECT_EQ(
        normalize(R"({"type": "Strip", "strip_left": true, "strip_right": false})", "\u3000a "),
        "a ");
    EXPECT_EQ(normalize(R"({"type": "StripAccents"})", "e\u0301"), "e");
    EXPECT_EQ(normalize(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "_"})",
                        "a   b c"),
              "a_b c");
}

TEST(Normalizer, RefusesToGrowATextWithoutBound) {
    std::string steps;
    for (int i = 0; i < 60; ++i) {
        steps += std::string(i == 0 ? "" : ",") +
                 R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
    }
    auto const json = R"({"type": "Sequence", "normalizers": [)" + steps + "]}";
    EXPECT_THROW(normalize(json, "a"), kernels::InputError);
}

TEST(PreTokenizer, RefusesWhatItDoesNotKnow) {
    for (
        auto const* const json :
        {R"({"type": "Whitespace"})", R"({"add_prefix_space": true})",
         R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Removed", "invert": false})",
         R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Sideways", "invert": false})",
         R"({"type": "Metaspace", "replacement": "ab"})",
         R"({"type": "Metaspace", "replacement": "▁", "add_prefix_space": false})",
         R"({"type": "Digits", "individual_digits": true, "base": 16})"}) {
        EXPECT_THROW(pieces_of(json, "a"), kernels::InputError) << json;
    }
}

}  // namespace
}  // namespace tesserank::io::detail
