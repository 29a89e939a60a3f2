#include "io/requests/tokenize_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TokenizeLine : public ::testing::Test {
  protected:
    static Tokenizer load() {
        std::ostringstream json;
        json << std::ifstream(TESSERANK_SOURCE_DIR "/tests/golden/tokenizers/llama3/tokenizer.json")
                    .rdbuf();
        return Tokenizer::from_json(json.str(), "llama3");
    }
    static TokenizeOptions decode() { return {.direction = TokenizeDirection::decode}; }

    std::string list(std::string_view text, Tokenizer::SpecialTokens special) const {
        std::string list;
        for (auto const id : tokenizer_.encode(text, special)) {
            list += (list.empty() ? "" : ", ") + std::to_string(id);
        }
        return "[" + list + "]";
    }
    std::string answer(std::string_view line, TokenizeOptions const& options = {}) const {
        auto const result = tokenize_line(line, 7, tokenizer_, options);
        EXPECT_FALSE(result.failed) << result.json;
        return result.json;
    }
    std::string refusal(std::string_view line, TokenizeOptions const& options = {}) const {
        auto const result = tokenize_line(line, 7, tokenizer_, options);
        EXPECT_TRUE(result.failed) << result.json;
        return result.json;
    }

    Tokenizer const tokenizer_ = load();
};

TEST_F(TokenizeLine, EncodesTextAndPrompt) {
    auto const with = list("Hello", Tokenizer::SpecialTokens::add);
    EXPECT_EQ(answer(R"({"id": "a", "text": "Hello"})"), R"({"id": "a", "tokens": )" + with + "}");
    EXPECT_EQ(answer(R"({"id": 5, "prompt": "Hello", "max_new_tokens": 3})"),
              R"({"id": 5, "tokens": )" + with + "}");
    auto const without = list("Hello", Tokenizer::SpecialTokens::omit);
    EXPECT_EQ(answer(R"({"text": "Hello"})", {.special_tokens = Tokenizer::SpecialTokens::omit}),
              R"({"id": null, "tokens": )" + without + "}");
    EXPECT_NE(with, without);
}

TEST_F(TokenizeLine, DecodesTokens) {
    auto const line =
        R"({"id": "a", "tokens": )" + list("Hello", Tokenizer::SpecialTokens::add) + "}";
    EXPECT_EQ(answer(line, decode()), R"({"id": "a", "text": "Hello"})");
    auto keep = decode();
    keep.special_text = Tokenizer::SpecialText::keep;
    EXPECT_THAT(answer(line, keep), HasSubstr("<|begin_of_text|>Hello"));
}

TEST_F(TokenizeLine, DecodesManyTokens) {
    std::string line = "{\"tokens\": [5";
    for (int i = 1; i < 1'000'000; ++i) line += ",5";
    auto const one = tokenizer_.decode(std::vector{5}, Tokenizer::SpecialText::skip);
    auto const text = answer(line + "]}", decode());
    EXPECT_EQ(text.size(),
              std::string(R"({"id": null, "text": ""})").size() + 1'000'000 * one.size());
}

TEST_F(TokenizeLine, BadLinesSayWhereAndWhy) {
    EXPECT_THAT(refusal("{"), StartsWith(R"({"id": null, "error": "line 7: not valid JSON)"));
    EXPECT_THAT(refusal(R"({"id": "a"})"), StartsWith(R"({"id": "a", "error": "line 7: the keys)"));
    EXPECT_THAT(refusal(R"({"id": "a", "text": 5})"), HasSubstr("found 5, expected a string"));
    EXPECT_THAT(refusal(R"({"id": "a", "text": "x", "prompt": "y"})"), HasSubstr("both"));
    EXPECT_THAT(refusal(R"({"id": [], "text": "x"})"), HasSubstr("expected a string or a whole"));
    EXPECT_THAT(refusal(R"({"id": "a", "text": "x"})", decode()),
                HasSubstr("the key \\\"tokens\\\" is missing"));
    EXPECT_THAT(refusal(R"({"id": "a", "tokens": [1, 99999999]})", decode()),
                HasSubstr("tokens[1]: found 99999999, expected a whole number from 0 to "));
    EXPECT_THAT(refusal("[]"), HasSubstr("expected an object"));
}

}  // namespace
}  // namespace tesserank::io
