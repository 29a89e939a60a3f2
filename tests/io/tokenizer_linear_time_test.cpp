// Texts of 1 MB without a place to cut them. Nothing here looks at a clock: a quadratic step would
// run into the test's TIMEOUT by orders of magnitude.

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

constexpr std::size_t megabyte = 1'000'000;

std::string repeated(std::string_view part) {
    std::string text;
    text.reserve(megabyte + part.size());
    while (text.size() < megabyte) text += part;
    return text;
}

class LongText : public ::testing::TestWithParam<char const*> {
  protected:
    Tokenizer const tokenizer_ = [] {
        auto const path = std::string(TESSERANK_SOURCE_DIR) + "/tests/golden/tokenizers/" +
                          GetParam() + "/tokenizer.json";
        std::ifstream file(path, std::ios::binary);
        return Tokenizer::from_json(std::string(std::istreambuf_iterator<char>(file), {}), path);
    }();

    /// Encodes the text and expects its decoding, at once and token by token, to be `expected`.
    void expect_round_trip(std::string const& text, std::string const& expected) const {
        auto const ids = tokenizer_.encode(text, Tokenizer::SpecialTokens::omit);
        EXPECT_TRUE(tokenizer_.decode(ids, Tokenizer::SpecialText::keep) == expected);
        TextStream stream(tokenizer_, Tokenizer::SpecialText::keep);
        std::string grown;
        for (auto const id : ids) grown += stream.append(id);
        grown += stream.finish();
        EXPECT_TRUE(grown == expected);
    }
    void expect_round_trip(std::string const& text) const { expect_round_trip(text, text); }
};

TEST_P(LongText, OfOneLetterIsNotQuadratic) { expect_round_trip(repeated("a")); }

TEST_P(LongText, OfLettersWithoutSpacesIsNotQuadratic) {
    expect_round_trip(repeated("thequickbrownfoxjumpsoverthelazydog"));
}

TEST_P(LongText, OfSpacesIsNotQuadratic) {
    expect_round_trip("x" + repeated(" ") + "x");
    expect_round_trip(repeated("\n \t"));
}

TEST_P(LongText, OfDigitsAndPunctuationIsNotQuadratic) {
    expect_round_trip(repeated("1234567890"));
    expect_round_trip(repeated("=-!"));
    expect_round_trip(repeated("'"));
}

TEST_P(LongText, OfOtherScriptsIsNotQuadratic) {
    expect_round_trip(repeated("漢字かな交じり文"));
    expect_round_trip(repeated("😀"));
}

TEST_P(LongText, OfSpecialTokensAndTheirBeginningsIsNotQuadratic) {
    expect_round_trip(repeated("<"));
    expect_round_trip(repeated("<|im_start"));
    auto const ids =
        tokenizer_.encode(repeated("<s><|endoftext|>"), Tokenizer::SpecialTokens::omit);
    EXPECT_FALSE(ids.empty());
}

TEST_P(LongText, OfCombiningMarksIsNotQuadratic) {
    // In normal form all marks of class 220 (U+0316) stand before those of class 230 (U+0302).
    auto const text = repeated("\u0302\u0316");
    auto const normalizes = std::string_view(GetParam()) == "qwen2";
    auto ordered = text;
    if (normalizes) {
        ordered.clear();
        for (auto const* const mark : {"\u0316", "\u0302"}) {
            for (std::size_t i = 0; i < text.size() / 4; ++i) ordered += mark;
        }
    }
    expect_round_trip(text, ordered);
}

/// No real vocabulary has merges that go on and on: here a word of 2^20 letters becomes one token.
TEST(LongWord, OfOneTokenIsNotQuadratic) {
    constexpr std::size_t doublings = 20;
    std::string vocabulary = R"("a": 0)";
    std::string merges;
    std::string word = "a";
    for (std::size_t i = 1; i <= doublings; ++i) {
        merges += (i > 1 ? ", [\"" : "[\"") + word + "\", \"" + word + "\"]";
        word += word;
        vocabulary += ", \"" + word + "\": " + std::to_string(i);
    }
    auto const tokenizer =
        Tokenizer::from_json(R"({"model": {"type": "BPE", "vocab": {)" + vocabulary +
                                 R"(}, "merges": [)" + merges + "]}}",
                             "doublings");
    auto const encode = [&](std::size_t letters) {
        return tokenizer.encode(std::string(letters, 'a'), Tokenizer::SpecialTokens::omit);
    };
    EXPECT_EQ(encode(word.size()), (std::vector<std::int32_t>{doublings}));
    EXPECT_EQ(encode(word.size() - 1).size(), doublings);
}

/// As in the original, each space gives the token again, though the first has taken them all.
TEST(AddedToken, ThatTakesTheSpacesBehindItIsNotQuadratic) {
    auto const tokenizer = Tokenizer::from_json(R"({"added_tokens": [{"id": 1, "content": " ",
        "single_word": false, "lstrip": false, "rstrip": true, "normalized": false,
        "special": false}], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})",
                                                "spaces");
    auto const ids = tokenizer.encode("a" + repeated(" ") + "a", Tokenizer::SpecialTokens::omit);
    EXPECT_EQ(ids.size(), megabyte + 2);
}

INSTANTIATE_TEST_SUITE_P(All, LongText,
                         ::testing::Values("gpt2", "llama3", "qwen2", "spm-llama2", "spm-mistral"),
                         [](auto const& test) {
                             std::string name = test.param;
                             std::erase(name, '-');
                             return name;
                         });

}  // namespace
}  // namespace tesserank::io
