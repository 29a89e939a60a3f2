#include "io/tokenizer/tokenizer.hpp"

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer_data.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::InputError;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Ids = std::vector<std::int32_t>;
constexpr auto omit = Tokenizer::SpecialTokens::omit;
constexpr auto keep = Tokenizer::SpecialText::keep;
constexpr auto skip = Tokenizer::SpecialText::skip;

/// Added token 5, `content`, with `options` true and the others false.
std::string added(std::string const& content, std::vector<std::string> const& options) {
    std::string json = R"({"id": 5, "content": ")" + content + "\"";
    for (std::string const option : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
        auto const is_set = std::count(options.begin(), options.end(), option) > 0;
        json += ", \"" + option + "\": " + (is_set ? "true" : "false");
    }
    return json + "}";
}

/// A tokenizer of the letters a, b, c, space and A, ids 0 to 4, with further parts.
Tokenizer letters(std::string const& more) {
    return Tokenizer::from_json(R"({"decoder": {"type": "Fuse"}, "model": {"type": "BPE",
        "vocab": {"a": 0, "b": 1, "c": 2, " ": 3, "A": 4}, "merges": []})" +
                                    more + "}",
                                "letters.json");
}

Ids encode(std::string const& added_token, std::string const& text, std::string const& more = "") {
    return letters(R"(, "added_tokens": [)" + added_token + "]" + more).encode(text, omit);
}

TEST(Tokenizer, FindsAddedTokensInTheText) {
    EXPECT_EQ(encode(added("ab", {}), "abcab"), (Ids{5, 2, 5}));
    EXPECT_EQ(encode(added("ab", {"single_word"}), "abc ab"), (Ids{0, 1, 2, 3, 5}));
    EXPECT_EQ(encode(added("ab", {"lstrip"}), "c  ab c"), (Ids{2, 5, 3, 2}));
    EXPECT_EQ(encode(added("ab", {"rstrip"}), "c ab  c"), (Ids{2, 3, 5, 2}));
    EXPECT_EQ(encode(added("\\n", {"lstrip", "rstrip"}), "a\n \nb"), (Ids{0, 5, 1}))
        << "spaces that one token has taken are not there for the next";
}

TEST(Tokenizer, LooksForNormalizedTokensInNormalizedText) {
    std::string const lower = R"(, "normalizer": {"type": "Lowercase"})";
    EXPECT_EQ(encode(added("AB", {"normalized"}), "abAB", lower), (Ids{5, 5}));
    EXPECT_EQ(encode(added("AB", {}), "abAB", lower), (Ids{0, 1, 5}));
}

TEST(Tokenizer, PrefersTheLeftmostThenTheLongestToken) {
    auto const two = added("ab", {}) + "," + added("abc", {}).replace(7, 1, "6");
    EXPECT_EQ(encode(two, "abcab"), (Ids{6, 5}));
}

TEST(Tokenizer, PutsTheTemplateAroundTheText) {
    auto const tokenizer = letters(R"(, "added_tokens": [)" + added("<s>", {"special"}) + R"(],
        "post_processor": {"type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}})");
    EXPECT_EQ(tokenizer.encode("ab", Tokenizer::SpecialTokens::add), (Ids{5, 0, 1}));
    EXPECT_EQ(tokenizer.encode("ab", omit), (Ids{0, 1}));
    EXPECT_EQ(tokenizer.decode(Ids{5, 0, 1}, keep), "<s>ab");
    EXPECT_EQ(tokenizer.decode(Ids{5, 0, 1}, skip), "ab");
}

TEST(Tokenizer, KnowsItsVocabulary) {
    auto const tokenizer = letters(R"(, "added_tokens": [)" + added("<s>", {"special"}) + "]");
    EXPECT_EQ(tokenizer.vocabulary_size(), 6U);
    EXPECT_EQ(tokenizer.id_of("<s>"), 5);
    EXPECT_EQ(tokenizer.id_of("c"), 2);
    EXPECT_EQ(tokenizer.id_of("x"), std::nullopt);
    EXPECT_EQ(tokenizer.token(2), "c");
    EXPECT_THROW(tokenizer.token(6), InputError);
    EXPECT_THROW(tokenizer.token(-1), InputError);
}

TEST(Tokenizer, NamesTheFirstWrongByteOfAText) {
    EXPECT_THAT([] { letters("").encode("ab\xFFxx", omit); },
                ThrowsMessage<InputError>(HasSubstr("not UTF-8: byte 2 of 5")));
}

TEST(Tokenizer, RefusesIdsOutsideOfTheVocabulary) {
    EXPECT_THAT([] { letters("").decode(Ids{5}, keep); },
                ThrowsMessage<InputError>(HasSubstr("id 5 is not in the vocabulary")));
    EXPECT_THROW(letters("").decode(Ids{-1}, keep), InputError);
}

TEST(ScratchPool, KeepsScratchUnlessItIsLarge) {
    detail::ScratchPool pool;
    for (std::size_t const tokens : {std::size_t{100}, 2 * detail::ScratchPool::most_kept_tokens}) {
        auto scratch = pool.take();
        scratch->bpe.word.resize(tokens);
        pool.give_back(std::move(scratch));
        EXPECT_EQ(pool.take()->bpe.word.size(), tokens == 100 ? 100U : 0U);
    }
}

TEST(TextStream, GivesNothingForIdsOutsideOfTheVocabulary) {
    TextStream stream(letters(""), skip);
    EXPECT_EQ(stream.append(7) + stream.append(-1) + stream.append(1), "b");
}

TEST(Tokenizer, SaysWhatIsWrongWithAFile) {
    auto const refuses = [](std::string const& more, char const* message) {
        EXPECT_THAT([&] { letters(more); }, ThrowsMessage<InputError>(HasSubstr(message))) << more;
    };
    auto const with_token = [](std::string const& token) {
        return R"(, "added_tokens": [)" + token + "]";
    };
    refuses(R"(, "version": "2.0")", "letters.json: version: found \"2.0\"");
    refuses(R"(, "extra": 1)", "\"extra\" is not supported");
    refuses(R"(, "normalizer": {"type": "Precompiled"})", "normalizer.type: found \"Precompiled\"");
    refuses(R"(, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("},
               "behavior": "Isolated", "invert": false})",
            "pre_tokenizer.pattern.Regex: the regular expression");
    refuses(R"(, "post_processor": {"type": "RobertaProcessing"})", "RobertaProcessing");
    refuses(with_token(R"({"id": 5})"), "added_tokens[0]: the key \"content\" is missing");
    refuses(with_token(added("", {})), "empty");
    refuses(with_token(added("a", {})), "has the id 5, but its place in the vocabulary gives it 0");
    refuses(with_token(added("x", {}).replace(7, 1, "9")), "has the id 9");
    refuses(with_token(added("x", {}) + "," + added("x", {})), "twice");
    refuses(R"(, "post_processor": {"type": "TemplateProcessing", "pair": [], "special_tokens":
               {"x": {"id": "x", "ids": [99], "tokens": ["x"]}},
               "single": [{"SpecialToken": {"id": "x", "type_id": 0}}]})",
            "found 99, expected a whole number from 0 to 4");
}

TEST(Tokenizer, RefusesTwoTokensThatNormalizeToTheSame) {
    EXPECT_THROW(letters(R"(, "normalizer": {"type": "Lowercase"}, "added_tokens": [)" +
                         added("xY", {"normalized"}) + "," +
                         added("xy", {"normalized"}).replace(7, 1, "6") + "]"),
                 InputError);
}

TEST(Tokenizer, SkipsIdsInHolesOfTheVocabulary) {
    auto const tokenizer = Tokenizer::from_json(
        R"({"decoder": {"type": "Fuse"}, "model": {"vocab": {"a": 0, "b": 3}, "merges": []}})",
        "t");
    EXPECT_EQ(tokenizer.decode(Ids{0, 1, 3}, keep), "ab");
    EXPECT_EQ(tokenizer.token(1), "");
}

TEST(Tokenizer, MayBeUsedBySeveralThreads) {
    auto const path = std::string(TESSERANK_SOURCE_DIR) + "/tests/golden/tokenizers/qwen2";
    std::ifstream file(path + "/tokenizer.json", std::ios::binary);
    auto const tokenizer =
        Tokenizer::from_json(std::string(std::istreambuf_iterator<char>(file), {}), path);
    std::string text;
    for (int i = 0; i < 300; ++i) text += " word" + std::to_string(i * i);
    auto const expected = tokenizer.encode(text, omit);
    std::vector<Ids> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i) result = tokenizer.encode(text, omit);
        });
    }
    for (auto& thread : threads) thread.join();
    for (auto const& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace tesserank::io
