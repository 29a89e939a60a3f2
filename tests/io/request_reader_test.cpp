#include "io/requests/request_reader.hpp"

#include "io/tokenizer/tokenizer.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace tesserank::io {
namespace {

using model::GenerateRequest;
using model::ScoreRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

RequestLimits const small{
    .vocabulary = 100, .max_length = 8, .default_max_new_tokens = 0, .sampling = {}};

Tokenizer load_tokenizer(std::string const& name) {
    std::ostringstream json;
    json << std::ifstream(TESSERANK_SOURCE_DIR "/tests/golden/tokenizers/" + name +
                          "/tokenizer.json")
                .rdbuf();
    return Tokenizer::from_json(json.str(), name);
}

RequestLimits limits_of(Tokenizer const& tokenizer) {
    return {.vocabulary = tokenizer.vocabulary_size(),
            .max_length = 64,
            .default_max_new_tokens = 4,
            .sampling = {}};
}

/// All of a file's lines, as they come.
struct Lines {
    std::vector<GenerateRequest> requests;
    std::vector<ScoreRequest> scores;
    std::vector<RequestError> errors;
};

Lines read(std::string const& text, RequestLimits const& limits, Tokenizer const* tokenizer,
           Task task = Task::generate) {
    TemporaryFolder const folder;
    RequestReader reader(LineReader(folder.write("in.jsonl", text), longest_request_line), limits,
                         {.tokenizer = tokenizer});
    Lines lines;
    auto const take = [&](auto& requests, auto next) {
        for (auto some = next(); !some.empty(); some = next()) {
            for (auto& item : some) {
                if (item.content.index() == 0)
                    requests.push_back(std::get<0>(std::move(item.content)));
                else
                    lines.errors.push_back(std::get<1>(std::move(item.content)));
            }
        }
    };
    constexpr std::size_t at_once = 5;
    if (task == Task::generate)
        take(lines.requests, [&] { return reader.next_generate(at_once); });
    else
        take(lines.scores, [&] { return reader.next_score(at_once); });
    return lines;
}

std::string error_of(std::string const& text, RequestLimits const& limits = small,
                     Tokenizer const* tokenizer = nullptr, Task task = Task::generate) {
    auto const lines = read(text, limits, tokenizer, task);
    EXPECT_EQ(lines.requests.size() + lines.scores.size(), 0U);
    return lines.errors.size() == 1 ? lines.errors[0].message : "not one error";
}

TEST(RequestReader, ReadsTokensAndFillsInDefaults) {
    auto limits = small;
    limits.default_max_new_tokens = 3;
    limits.sampling = {.temperature = 0.5F,
                       .top_k = 7,
                       .top_p = 0.5F,
                       .min_p = 0.25F,
                       .repetition_penalty = 2.0F,
                       .seed = 11};
    auto const lines = read(
        "{\"id\": \"a\", \"tokens\": [1, 2]}\n\n  \r\n"
        "{\"id\": \"b\", \"tokens\": [1], \"top_k\": 0, \"seed\": 5, "
        "\"temperature\": 0, \"stop_token_ids\": [9]}",
        limits, nullptr);
    ASSERT_EQ(lines.requests.size(), 2U);
    auto const& a = lines.requests[0];
    EXPECT_EQ(a.id, "a");
    EXPECT_THAT(a.prompt, ElementsAre(1, 2));
    EXPECT_EQ(a.max_new_tokens, 3U);
    EXPECT_EQ(a.sampling.temperature, 0.5F);
    EXPECT_EQ(a.sampling.top_k, 7U);
    EXPECT_EQ(a.sampling.repetition_penalty, 2.0F);
    EXPECT_EQ(a.sampling.seed, 11U);
    auto const& b = lines.requests[1];
    EXPECT_EQ(b.sampling.temperature, 0.0F);
    EXPECT_EQ(b.sampling.top_k, 0U);
    EXPECT_EQ(b.sampling.seed, 5U);
    EXPECT_THAT(b.stop.token_ids, ElementsAre(9));
}

TEST(RequestReader, CutsTheDefaultOfNewTokensToWhatFits) {
    auto limits = small;
    for (std::size_t const by_default : {0U, 1000U}) {
        limits.default_max_new_tokens = by_default;
        auto const lines = read(R"({"id": "a", "tokens": [1, 2]})", limits, nullptr);
        ASSERT_EQ(lines.requests.size(), 1U);
        EXPECT_EQ(lines.requests[0].max_new_tokens, 6U);
    }
}

TEST(RequestReader, RefusesMoreNewTokensThanFit) {
    auto limits = small;
    limits.max_length_of = "--max-length";
    EXPECT_EQ(error_of(R"({"id": "a", "tokens": [1, 2], "max_new_tokens": 7})", limits),
              "line 1: max_new_tokens: found 7, expected at most 6: the prompt has 2 of "
              "--max-length's 8 tokens");
    auto const fits = read(R"({"id": "a", "tokens": [1, 2], "max_new_tokens": 6})", small, nullptr);
    ASSERT_EQ(fits.requests.size(), 1U);
    EXPECT_EQ(fits.requests[0].max_new_tokens, 6U);
}

TEST(RequestReader, ABadLineLeavesTheOthersAlone) {
    auto const lines = read(
        "{\"id\": \"a\", \"tokens\": [1]}\n{\"id\": \"b\", \n\n{\"id\": "
        "\"c\", \"tokens\": [100]}\n{\"id\": \"d\", \"tokens\": [99]}\n",
        small, nullptr);
    ASSERT_EQ(lines.requests.size(), 2U);
    EXPECT_EQ(lines.requests[1].id, "d");
    ASSERT_EQ(lines.errors.size(), 2U);
    EXPECT_THAT(lines.errors[0].message, HasSubstr("line 2: not valid JSON at byte "));
    EXPECT_EQ(lines.errors[0].id, "b");
    EXPECT_EQ(lines.errors[0].line, 2U);
    EXPECT_EQ(lines.errors[1].message,
              "line 4: tokens[0]: found 100, expected a token id below 100");
    EXPECT_EQ(lines.errors[1].id, "c");
}

TEST(RequestReader, DuplicateIdNamesTheFirstLine) {
    auto const lines = read(
        "{\"id\": \"a\", \"tokens\": [1]}\n{\"id\": \"b\", \"top_k\": -1}\n"
        "{\"id\": \"a\", \"tokens\": [2]}\n{\"id\": \"b\", \"tokens\": [2]}\n",
        small, nullptr);
    EXPECT_EQ(lines.requests.size(), 1U);
    ASSERT_EQ(lines.errors.size(), 3U);
    EXPECT_THAT(lines.errors[1].message,
                HasSubstr("line 3: id: found \"a\", which line 1 has already"));
    EXPECT_EQ(lines.errors[1].id, "a");
    EXPECT_THAT(lines.errors[2].message,
                HasSubstr("line 4: id: found \"b\", which line 2 has already"));
}

TEST(RequestReader, RefusesWhatTheModelCannotTake) {
    EXPECT_EQ(error_of(R"({"id": "a", "tokens": []})"),
              "line 1: tokens: is empty, expected at least one token");
    EXPECT_EQ(error_of(R"({"id": "a", "prompt": ""})"),
              "line 1: prompt: is empty, expected at least one token");
    EXPECT_EQ(error_of(R"({"id": "a", "tokens": [1, 2, 3, 4, 5, 6, 7, 8]})"),
              "line 1: the prompt has 8 tokens, expected fewer than the context's 8");
    EXPECT_EQ(error_of(R"({"id": "a", "prompt": "x"})"),
              "line 1: prompt: the model file has no tokenizer; give token ids as \"tokens\"");
    EXPECT_THAT(error_of(R"({"id": "a", "tokens": [1], "stop": "x"})"),
                HasSubstr("stop: the model file has no tokenizer"));
    EXPECT_THAT(error_of(R"({"id": "a", "tokens": [1], "stop_token_ids": [3, 100]})"),
                HasSubstr("stop_token_ids[1]: found 100, expected a token id below 100"));
    EXPECT_THAT(error_of("{\"id\": \"a\", \"prompt\": \"\xC3(\"}"), HasSubstr("ill-formed UTF-8"));
}

TEST(RequestReader, EncodesThePromptWithSpecialTokens) {
    auto const tokenizer = load_tokenizer("llama3");
    auto const lines =
        read(R"({"id": "a", "prompt": "Hello", "stop": "x"})", limits_of(tokenizer), &tokenizer);
    ASSERT_EQ(lines.requests.size(), 1U);
    EXPECT_EQ(lines.requests[0].prompt, tokenizer.encode("Hello", Tokenizer::SpecialTokens::add));
    EXPECT_NE(lines.requests[0].prompt, tokenizer.encode("Hello", Tokenizer::SpecialTokens::omit));
    EXPECT_EQ(lines.requests[0].max_new_tokens, 4U);
    EXPECT_THAT(lines.requests[0].stop.strings, ElementsAre("x"));
}

TEST(RequestReader, EncodesTheCompletionWithoutSpecialTokens) {
    auto const tokenizer = load_tokenizer("llama3");
    auto const lines = read(R"({"id": "a", "prompt": "Hello", "completion": " world"})",
                            limits_of(tokenizer), &tokenizer, Task::score);
    ASSERT_EQ(lines.scores.size(), 1U);
    EXPECT_EQ(lines.scores[0].prompt, tokenizer.encode("Hello", Tokenizer::SpecialTokens::add));
    EXPECT_EQ(lines.scores[0].completion,
              tokenizer.encode(" world", Tokenizer::SpecialTokens::omit));
}

TEST(RequestReader, ChecksScoresAgainstTheModel) {
    auto const score = [](std::string const& text) {
        return error_of(text, small, nullptr, Task::score);
    };
    EXPECT_EQ(score(R"({"id": "a", "tokens": [1, 2, 3, 4, 5], "completion_tokens": [1, 2, 3, 4]})"),
              "line 1: prompt and completion have 5 + 4 tokens, expected at most the context's 8");
    EXPECT_EQ(score(R"({"id": "a", "tokens": [1], "completion_tokens": [1, 100]})"),
              "line 1: completion_tokens[1]: found 100, expected a token id below 100");
    EXPECT_EQ(score(R"({"id": "a", "tokens": [1], "completion_tokens": []})"),
              "line 1: completion_tokens: is empty, expected at least one token");
    EXPECT_EQ(score(R"({"id": "a", "tokens": [1], "completion": ""})"),
              "line 1: completion: is empty, expected at least one token");
    EXPECT_THAT(score(R"({"id": "a", "tokens": [1], "completion": "x"})"),
                HasSubstr("completion: the model file has no tokenizer; give token ids as "
                          "\"completion_tokens\""));
    auto const fits =
        read(R"({"id": "a", "tokens": [1, 2, 3, 4], "completion_tokens": [1, 2, 3, 4]})", small,
             nullptr, Task::score);
    EXPECT_EQ(fits.scores.size(), 1U);
}

TEST(RequestReader, ATextFarTooLongIsRefusedUnread) {
    auto const tokenizer = load_tokenizer("gpt2");
    auto const limits = limits_of(tokenizer);
    auto const line = [](std::size_t bytes) {
        return R"({"id": "a", "prompt": ")" + std::string(bytes, 'x') + R"("})";
    };
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    EXPECT_THAT(error_of(line(mebibyte), limits, &tokenizer), HasSubstr("tokens, expected fewer"));
    EXPECT_THAT(error_of(line(mebibyte + 1), limits, &tokenizer),
                HasSubstr("prompt: has 1048577 bytes, expected at most 1048576 for the context's"));
    EXPECT_THAT(error_of(R"({"id": "a", "prompt": "x", "completion": ")" +
                             std::string(mebibyte + 1, 'x') + R"("})",
                         limits, &tokenizer, Task::score),
                HasSubstr("completion: has 1048577 bytes"));
}

TEST(RequestReader, ALongTextIsRefusedByItsStart) {
    auto const tokenizer = load_tokenizer("gpt2");
    auto limits = limits_of(tokenizer);
    limits.max_length = 30000;
    auto const repeated = [](std::string_view word, std::size_t count) {
        std::string line = R"({"id": "a", "prompt": ")";
        for (std::size_t i = 0; i < count; ++i) line += word;
        return line + R"("})";
    };
    EXPECT_THAT(error_of(repeated("q1", 640000), limits, &tokenizer),
                HasSubstr("prompt: its first 480000 of 1280000 bytes have 480000 tokens, expected "
                          "fewer than the context's 30000"));
    // Never between the bytes of a character.
    EXPECT_THAT(error_of(repeated("\xC3\xA9\xE4\xB8\xAD\xC3\xA9", 200000), limits, &tokenizer),
                HasSubstr("prompt: its first 479999 of 1400000 bytes have"));
    // Where a token takes many bytes, the whole text is counted.
    EXPECT_THAT(error_of(repeated(" MERCHANTABILITY", 80000), limits, &tokenizer),
                HasSubstr("the prompt has 80000 tokens, expected fewer than the context's 30000"));
}

TEST(RequestReader, EmptyFileHasNoRequests) {
    auto const lines = read("", small, nullptr);
    EXPECT_TRUE(lines.requests.empty() && lines.errors.empty());
}

/// A run that had reached the end has read what blank lines there are.
TEST(RequestReader, PassesOverBlankLinesAtTheEnd) {
    TemporaryFolder const folder;
    std::string const line = "{\"id\": \"a\", \"tokens\": [1]}\n";
    auto const reader_of = [&](std::string const& text) {
        return RequestReader(LineReader(folder.write("in.jsonl", text), longest_request_line),
                             small, {});
    };
    auto first = reader_of(line + "\n  \n");
    EXPECT_EQ(first.next_generate(5).size(), 1U);
    EXPECT_EQ(first.line(), 3U);
    auto again = reader_of(line + "\n  \n");
    again.skip(Task::generate, first.line());
    EXPECT_TRUE(again.next_generate(5).empty());
    EXPECT_THAT([&] { reader_of(line + "\n").skip(Task::generate, first.line()); },
                ThrowsMessage<kernels::InputError>("the input has 2 lines, expected at least 3"));
}

TEST(RequestReader, TooLongLineIsOneError) {
    auto const lines =
        read("{\"id\": \"a\", \"prompt\": \"" + std::string(longest_request_line, 'x') +
                 "\"}\n{\"id\": \"b\", \"tokens\": [1]}\n",
             small, nullptr);
    ASSERT_EQ(lines.errors.size(), 1U);
    EXPECT_EQ(lines.errors[0].message, "line 1: longer than 64 MiB");
    EXPECT_EQ(lines.requests.size(), 1U);
}

TEST(RequestReader, StreamsManyLinesWithUniqueIds) {
    std::size_t constexpr count = 100000;
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += "{\"id\": \"" + std::to_string(i) + "\", \"tokens\": [" + std::to_string(i % 100) +
                "]}\n";
    }
    text += "{\"id\": \"77\", \"tokens\": [1]}\n";
    auto const lines = read(text, small, nullptr);
    ASSERT_EQ(lines.requests.size(), count);
    EXPECT_EQ(lines.requests[12345].id, "12345");
    EXPECT_EQ(lines.requests[12345].prompt[0], 45);
    ASSERT_EQ(lines.errors.size(), 1U);
    EXPECT_THAT(lines.errors[0].message,
                HasSubstr("line 100001: id: found \"77\", which line 78 has"));
}

}  // namespace
}  // namespace tesserank::io
