#include "io/tokenizer/bpe_model.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;
using Ids = std::vector<std::int32_t>;

BpeModel model_of(std::string const& json) {
    JsonDocument const document(json, "test");
    return BpeModel::from_json(document.root());
}

Ids tokens_of(BpeModel const& model, std::string_view word) {
    BpeScratch scratch;
    Ids tokens;
    model.tokenize(word, scratch, tokens);
    Ids again;
    model.tokenize(word, scratch, again);
    EXPECT_EQ(again, tokens) << "from the cache";
    return tokens;
}

std::string model_json(std::string const& vocabulary, std::string const& merges,
                       std::string const& more = "") {
    return R"({"type": "BPE", "vocab": )" + vocabulary + R"(, "merges": )" + merges + more + "}";
}

constexpr auto letters = R"({"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "aa": 6})";

TEST(BpeModel, MergesByRankThenFromTheLeft) {
    auto const model = model_of(model_json(letters, R"(["b c", "a b", "a bc", "a a"])"));
    EXPECT_EQ(tokens_of(model, "abc"), (Ids{5})) << "bc first, then a bc";
    EXPECT_EQ(tokens_of(model, "abab"), (Ids{3, 3}));
    EXPECT_EQ(tokens_of(model, "aaa"), (Ids{6, 0}));
    EXPECT_EQ(tokens_of(model, ""), (Ids{}));
}

TEST(BpeModel, TakesMergesInBothForms) {
    auto const strings = model_of(model_json(letters, R"(["#version: 0.2", "a b", "ab c"])"));
    auto const pairs = model_of(model_json(letters, R"([["a", "b"], ["ab", "c"]])"));
    EXPECT_EQ(tokens_of(strings, "abc"), (Ids{5}));
    EXPECT_EQ(tokens_of(pairs, "abc"), (Ids{5}));
}

TEST(BpeModel, OfTwoEqualMergesTheLastCounts) {
    auto const model = model_of(model_json(letters, R"(["a b", "b c", "a b"])"));
    EXPECT_EQ(tokens_of(model, "abc"), (Ids{0, 4}));
}

TEST(BpeModel, AcceptsAFileWithoutAType) {
    EXPECT_EQ(tokens_of(model_of(R"({"vocab": {"a": 0}, "merges": []})"), "aa"), (Ids{0, 0}));
}

TEST(BpeModel, IgnoresMergesForAWordOfTheVocabulary) {
    auto const ignoring = model_of(model_json(letters, "[]", R"(, "ignore_merges": true)"));
    EXPECT_EQ(tokens_of(ignoring, "abc"), (Ids{5}));
    EXPECT_EQ(tokens_of(ignoring, "abca"), (Ids{0, 1, 2, 0}));
    EXPECT_EQ(tokens_of(model_of(model_json(letters, "[]")), "abc"), (Ids{0, 1, 2}));
}

constexpr auto with_bytes =
    R"({"<unk>": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3, "<0xE4>": 4, "<0xB8>": 5})";

TEST(BpeModel, FallsBackToBytesThenToTheUnknownToken) {
    auto const model = [](std::string const& more) {
        return model_of(model_json(with_bytes, "[]", R"(, "unk_token": "<unk>")" + more));
    };
    auto const fallback = model(R"(, "byte_fallback": true)");
    EXPECT_EQ(tokens_of(fallback, "aé"), (Ids{1, 2, 3}));
    EXPECT_EQ(tokens_of(fallback, "中a"), (Ids{0, 1})) << "one of its bytes has no token";
    EXPECT_EQ(tokens_of(model(""), "éé"), (Ids{0, 0}));
    EXPECT_EQ(tokens_of(model(R"(, "fuse_unk": true)"), "ééa"), (Ids{0, 1}));
    EXPECT_EQ(tokens_of(model(R"(, "fuse_unk": true, "byte_fallback": true)"), "中éa"),
              (Ids{2, 3, 0, 1}))
        << "bytes overtake a pending unknown token, as in the original";
}

TEST(BpeModel, DropsUnknownCharactersWithoutAnUnknownToken) {
    EXPECT_EQ(tokens_of(model_of(model_json(letters, "[]")), "axb"), (Ids{0, 1}));
    auto const broken = model_of(model_json(letters, "[]", R"(, "unk_token": "<unk>")"));
    EXPECT_EQ(tokens_of(broken, "a"), (Ids{0}));
    EXPECT_THROW(tokens_of(broken, "x"), InputError);
}

/// Merges until nothing merges, by the definition.
void merge_slowly(Ids& tokens, MergeRules const& rules) {
    for (;;) {
        auto best = tokens.size();
        std::uint32_t rank = UINT32_MAX;
        for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
            auto const* const rule = rules.find(tokens[i], tokens[i + 1]);
            if (rule != nullptr && rule->rank < rank) {
                best = i;
                rank = rule->rank;
            }
        }
        if (best == tokens.size()) return;
        tokens[best] = rules.find(tokens[best], tokens[best + 1])->result;
        tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

/// A vocabulary of all strings of up to 4 letters out of 3, with random merges.
struct RandomRules {
    explicit RandomRules(unsigned seed) : random(seed) {
        std::vector<std::string> tokens = {"a", "b", "c"};
        for (std::size_t i = 0; tokens[i].size() < 4; ++i) {
            for (char const letter : {'a', 'b', 'c'}) tokens.push_back(tokens[i] + letter);
        }
        for (auto const& token : tokens) {
            vocabulary += (vocabulary.empty() ? "{\"" : ",\"") + token +
                          "\":" + std::to_string(vocabulary_size++);
            for (std::size_t cut = 1; cut < token.size(); ++cut) {
                if (random() % 6 == 0)
                    pairs.push_back(token.substr(0, cut) + " " + token.substr(cut));
            }
        }
        vocabulary += "}";
        std::shuffle(pairs.begin(), pairs.end(), random);
        for (auto const& pair : pairs) merges += (merges.empty() ? "[\"" : ",\"") + pair + "\"";
        merges += merges.empty() ? "[]" : "]";
    }
    std::string word(std::size_t size) {
        std::string text;
        while (text.size() < size) text += static_cast<char>('a' + random() % 3);
        return text;
    }

    std::mt19937 random;
    std::size_t vocabulary_size = 0;
    std::vector<std::string> pairs;
    std::string vocabulary, merges;
};

TEST(BpeModel, GivesTheResultOfTheDefinitionAtEveryLength) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        RandomRules random(seed);
        auto const model = model_of(model_json(random.vocabulary, random.merges));
        JsonDocument const merges(random.merges, "test");
        auto const rules = MergeRules::from_json(merges.root(), model.vocabulary());
        for (std::size_t const size :
             {std::size_t{2}, std::size_t{29}, std::size_t{30}, std::size_t{31},
              BpeMerger::longest_scanned, BpeMerger::longest_scanned + 1, std::size_t{300}}) {
            auto const word = random.word(size);
            Ids expected;
            for (char const letter : word) expected.push_back(letter - 'a');
            merge_slowly(expected, rules);
            EXPECT_EQ(tokens_of(model, word), expected) << "seed " << seed << ", " << word;
        }
    }
}

TEST(BpeModel, RefusesWhatItCannotHonour) {
    auto const refuses = [](std::string const& json, char const* message) {
        EXPECT_THAT([&] { model_of(json); },
                    ::testing::ThrowsMessage<InputError>(::testing::HasSubstr(message)))
            << json;
    };
    refuses(R"({"type": "Unigram", "vocab": []})", "no other model is supported");
    refuses(model_json(letters, "[]", R"(, "dropout": 0.1)"), "dropout");
    refuses(model_json(letters, "[]", R"(, "continuing_subword_prefix": "##")"), "prefix");
    refuses(model_json(letters, "[]", R"(, "end_of_word_suffix": "</w>")"), "suffix");
    refuses(model_json(letters, "[]", R"(, "surprise": 1)"), "\"surprise\" is not supported");
    refuses(model_json(letters, R"(["a x"])"), "\"x\" is not in the vocabulary");
    refuses(model_json(letters, R"(["c a"])"), "\"ca\" is not in the vocabulary");
    refuses(model_json(letters, R"(["a b c"])"), "one space");
    refuses(model_json(letters, R"(["a b", ["b", "c"]])"), "mixed");
    refuses(model_json(letters, R"([["a"]])"), "two tokens");
    refuses(model_json(R"({"": 0, "a": 1})", R"([["", "a"]])"), "empty token");
    refuses(model_json(R"({"a": 0, "b": 0})", "[]"), "same id");
    refuses(model_json(R"({"a": -1})", "[]"), "whole number from 0");
    refuses(model_json(R"({"a": 2000000000})", "[]"), "whole number from 0");
    refuses(model_json(R"({"a": 1.5})", "[]"), "whole number from 0");
    refuses(R"({"type": "BPE", "vocab": {}})", "\"merges\" is missing");
}

}  // namespace
}  // namespace tesserank::io::detail
