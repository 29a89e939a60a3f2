// The golden tokenizers: every expected value comes from the library `tokenizers`.

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr auto keep = Tokenizer::SpecialText::keep;
constexpr auto skip = Tokenizer::SpecialText::skip;

std::string read(std::string const& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

class GoldenTokenizer : public ::testing::TestWithParam<char const*> {
  protected:
    std::string const folder_ =
        std::string(TESSERANK_SOURCE_DIR) + "/tests/golden/tokenizers/" + GetParam();
    Tokenizer const tokenizer_ =
        Tokenizer::from_json(read(folder_ + "/tokenizer.json"), folder_ + "/tokenizer.json");
    nlohmann::json const cases_ = nlohmann::json::parse(read(folder_ + "/cases.json"));

    Ids encode(nlohmann::json const& text, Tokenizer::SpecialTokens special) const {
        return tokenizer_.encode(text.get<std::string>(), special);
    }
    std::string streamed(Ids const& ids, Tokenizer::SpecialText special) const {
        TextStream stream(tokenizer_, special);
        std::string text;
        for (auto const id : ids) text += stream.append(id);
        return text + stream.finish();
    }
    void expect_decoded(Ids const& ids, nlohmann::json const& kept,
                        nlohmann::json const& skipped) const {
        EXPECT_EQ(tokenizer_.decode(ids, keep), kept.get<std::string>());
        EXPECT_EQ(tokenizer_.decode(ids, skip), skipped.get<std::string>());
        EXPECT_EQ(streamed(ids, keep), kept.get<std::string>());
        EXPECT_EQ(streamed(ids, skip), skipped.get<std::string>());
    }
};

TEST_P(GoldenTokenizer, EncodesEveryString) {
    ASSERT_EQ(cases_["strings"].size(), 300U);
    for (auto const& one : cases_["strings"]) {
        SCOPED_TRACE(one["text"].dump());
        EXPECT_EQ(encode(one["text"], Tokenizer::SpecialTokens::omit), one["ids"].get<Ids>());
        EXPECT_EQ(encode(one["text"], Tokenizer::SpecialTokens::add),
                  one["ids_with_special"].get<Ids>());
    }
}

TEST_P(GoldenTokenizer, DecodesWhatItEncodedAtOnceAndTokenByToken) {
    for (auto const& one : cases_["strings"]) {
        SCOPED_TRACE(one["text"].dump());
        expect_decoded(one["ids_with_special"].get<Ids>(), one["decoded"],
                       one["decoded_skip_special"]);
    }
}

TEST_P(GoldenTokenizer, DecodesArbitraryIdsAndInvalidBytes) {
    ASSERT_FALSE(cases_["decode"].empty());
    for (auto const& one : cases_["decode"]) {
        SCOPED_TRACE(one["ids"].dump());
        expect_decoded(one["ids"].get<Ids>(), one["text"], one["text_skip_special"]);
    }
}

TEST_P(GoldenTokenizer, EncodesRenderedChatsRenderingItselfNotCovered) {
    for (auto const& one : cases_.value("chat", nlohmann::json::array())) {
        SCOPED_TRACE(one["rendered"].dump());
        EXPECT_EQ(encode(one["rendered"], Tokenizer::SpecialTokens::omit), one["ids"].get<Ids>());
    }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizer,
                         ::testing::Values("gpt2", "llama3", "qwen2", "spm-llama2", "spm-mistral"),
                         [](auto const& test) {
                             std::string name = test.param;
                             std::erase(name, '-');
                             return name;
                         });

}  // namespace
}  // namespace tesserank::io
