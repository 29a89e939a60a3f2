#include "io/requests/request_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RequestLine parse(std::string_view line, Task task = Task::generate) {
    auto parsed = parse_request_line(line, task);
    if (auto const* error = std::get_if<RequestError>(&parsed)) {
        ADD_FAILURE() << line << " was refused: " << error->message;
        return {};
    }
    return std::get<RequestLine>(std::move(parsed));
}

RequestError refuse(std::string_view line, Task task = Task::generate) {
    auto parsed = parse_request_line(line, task);
    if (std::holds_alternative<RequestLine>(parsed)) {
        ADD_FAILURE() << line << " was accepted";
        return {};
    }
    return std::get<RequestError>(std::move(parsed));
}

TEST(RequestLine, TakesTextAndLeavesTheRestOpen) {
    auto const line = parse(R"({"id": "a", "prompt": "caf\u00e9"})");
    EXPECT_EQ(line.id, "a");
    EXPECT_EQ(std::get<std::string>(line.prompt), "caf\xC3\xA9");
    EXPECT_FALSE(line.completion || line.max_new_tokens || line.temperature || line.top_k ||
                 line.top_p || line.min_p || line.repetition_penalty || line.seed || line.logprobs);
    EXPECT_TRUE(line.stop.empty() && line.stop_token_ids.empty() && !line.ignore_eos);
}

TEST(RequestLine, TakesEveryOption) {
    auto const line = parse(
        R"({"seed": 18446744073709551615, "stop": ["x", "\n\n"], "stop_token_ids": [7], "ignore_eos":)"
        R"( true, "logprobs": 20, "tokens": [0, 2147483647], "max_new_tokens": 5, "temperature": 1,)"
        R"( "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.25, "id": "b"})");
    EXPECT_EQ(line.id, "b");
    EXPECT_THAT(std::get<1>(line.prompt), ElementsAre(0, 2147483647));
    EXPECT_EQ(line.max_new_tokens, 5U);
    EXPECT_EQ(line.temperature, 1.0F);
    EXPECT_EQ(line.top_k, 40U);
    EXPECT_EQ(line.top_p, 0.9F);
    EXPECT_EQ(line.min_p, 0.05F);
    EXPECT_EQ(line.repetition_penalty, 1.25F);
    EXPECT_EQ(line.seed, 18446744073709551615U);
    EXPECT_THAT(line.stop, ElementsAre("x", "\n\n"));
    EXPECT_THAT(line.stop_token_ids, ElementsAre(7));
    EXPECT_TRUE(line.ignore_eos);
    EXPECT_EQ(line.logprobs, 20U);
}

TEST(RequestLine, TakesBothFormsOfStopAndLogprobs) {
    EXPECT_THAT(parse(R"({"id": "a", "prompt": "p", "stop": "end"})").stop, ElementsAre("end"));
    EXPECT_EQ(parse(R"({"id": "a", "prompt": "p", "logprobs": true})").logprobs, 0U);
    EXPECT_EQ(parse(R"({"id": "a", "prompt": "p", "logprobs": false})").logprobs, std::nullopt);
}

TEST(RequestLine, TakesNullAsNotGiven) {
    auto const line = parse(R"({"id": "a", "prompt": null, "tokens": [1], "temperature": null})");
    EXPECT_THAT(std::get<1>(line.prompt), ElementsAre(1));
    EXPECT_FALSE(line.temperature);
}

TEST(RequestLine, TakesATinyTemperatureForGreedy) {
    EXPECT_EQ(parse(R"({"id": "a", "prompt": "p", "temperature": 1e-30})").temperature, 0.0F);
}

TEST(RequestLine, TakesCompletionsForScore) {
    auto const text = parse(R"({"id": "a", "prompt": "p", "completion": "c"})", Task::score);
    EXPECT_EQ(std::get<std::string>(*text.completion), "c");
    auto const ids =
        parse(R"({"id": "a", "tokens": [1], "completion_tokens": [2, 3]})", Task::score);
    EXPECT_THAT(std::get<1>(*ids.completion), ElementsAre(2, 3));
}

struct BadLine {
    std::string line, message;
    Task task = Task::generate;
};
void PrintTo(BadLine const& bad, std::ostream* out) { *out << bad.line.substr(0, 80); }

class BadRequestLine : public ::testing::TestWithParam<BadLine> {};

TEST_P(BadRequestLine, NamesKeyAndValueAndWhatIsExpected) {
    EXPECT_THAT(refuse(GetParam().line, GetParam().task).message, HasSubstr(GetParam().message));
}

std::string with(std::string const& members) {
    return R"({"id": "a", "prompt": "p", )" + members + "}";
}

INSTANTIATE_TEST_SUITE_P(
    WrongJson, BadRequestLine,
    ::testing::Values(
        BadLine{"{\"id\": \"a\",", "not valid JSON at byte 12: "},
        BadLine{"", "not valid JSON at byte 1: "},
        BadLine{R"({"id": "a", "prompt": "p"} x)", "not valid JSON at byte 28: "},
        BadLine{with(R"("temperature": NaN)"), "not valid JSON at byte "},
        BadLine{with(R"("temperature": 1e999)"), "number overflow parsing '1e999'"},
        BadLine{"{\"id\": \"a\", \"prompt\": \"\xFF\"}", "ill-formed UTF-8 byte"},
        BadLine{R"({"id": "a", "prompt": "\ud800"})", "not valid JSON at byte "},
        BadLine{std::string("{\"id\": \"a\", \"prompt\": \"p\"}\0{", 27), "found a NUL byte"},
        BadLine{R"(["id"])", "found a list, expected an object"},
        BadLine{"12", "found a single value, expected an object"},
        BadLine{std::string(100000, '['), "found a list, expected an object"},
        BadLine{with("\"stop\": " + std::string(100000, '[')), "stop[0]: found a list"},
        BadLine{"{\"id\": " + std::string(100000, '['), "id: found a list"},
        BadLine{R"({"id": "a", "id": "b", "prompt": "p"})", "the key \"id\" appears twice"}));

INSTANTIATE_TEST_SUITE_P(
    WrongKeys, BadRequestLine,
    ::testing::Values(
        BadLine{R"({"prompt": "p"})", "the key \"id\" is missing"},
        BadLine{R"({"id": "a"})", R"(expected one of the keys "prompt", "tokens" and "messages")"},
        BadLine{R"({"id": "a", "prompt": "p", "tokens": [1]})",
                "both \"prompt\" and \"tokens\" are given"},
        BadLine{with(R"("max_tokens": 5)"),
                "unknown key \"max_tokens\": did you mean \"max_new_tokens\"?"},
        BadLine{with(R"("temprature": 5)"), "did you mean \"temperature\"?"},
        BadLine{with(R"("Top_P": 5)"), "did you mean \"top_p\"?"},
        BadLine{with(R"("frequency_penalty": 5)"),
                "unknown key \"frequency_penalty\", expected one of id, custom_id, prompt, "
                "tokens, messages, images, method, url, body, max_new"},
        BadLine{with(R"("completion": "c")"), "\"completion\" has no meaning for generate"},
        BadLine{with(R"("temperature": 1)"), "\"temperature\" has no meaning for score",
                Task::score},
        BadLine{with(R"("logprob": 1)"),
                "expected one of id, custom_id, prompt, tokens, messages, images, completion, "
                "completion_tokens",
                Task::score},
        BadLine{R"({"id": "a", "prompt": "p"})", "\"completion_tokens\" are missing", Task::score},
        BadLine{with(R"("completion": "c", "completion_tokens": [1])"),
                "both \"completion\" and \"completion_tokens\" are given", Task::score},
        BadLine{R"({"id": "a", "prompt": "p", "messages": []})",
                "both \"prompt\" and \"messages\" are given"},
        BadLine{with(R"("image": ["a.png"])"), "did you mean \"images\"?"},
        BadLine{R"({"id": "a", "custom_id": "b", "prompt": "p"})",
                "both \"id\" and \"custom_id\" are given"},
        BadLine{R"({"custom_id": "d", "method": "POST"})", "the key \"body\" is missing"},
        BadLine{R"({"custom_id": "d", "temperature": 1, "body": {"messages": []}})",
                "the key \"temperature\" stands beside \"body\", expected it within"},
        BadLine{R"({"custom_id": "d", "body": {"messages": []}})",
                "\"body\" has no meaning for score", Task::score}));

INSTANTIATE_TEST_SUITE_P(
    WrongValues, BadRequestLine,
    ::testing::Values(
        BadLine{R"({"id": 5, "prompt": "p"})", "id: found 5, expected a string of 1 to 512 bytes"},
        BadLine{R"({"id": "", "prompt": "p"})", "id: found \"\", expected a string"},
        BadLine{"{\"id\": \"" + std::string(513, 'x') + "\"}", "xxx\"..., expected a string of 1"},
        BadLine{R"({"id": "a", "prompt": 5})", "prompt: found 5, expected a string"},
        BadLine{R"({"id": "a", "prompt": ["p"]})", "prompt: found a list, expected a string"},
        BadLine{R"({"id": "a", "tokens": "1 2"})", "tokens: found \"1 2\", expected a list"},
        BadLine{R"({"id": "a", "tokens": {"b": 1}})", "tokens: found an object, expected a list"},
        BadLine{R"({"id": "a", "tokens": [1, -2]})", "tokens[1]: found -2, expected a token id"},
        BadLine{R"({"id": "a", "tokens": [1.5]})", "tokens[0]: found 1.5, expected a token id"},
        BadLine{R"({"id": "a", "tokens": [[1]]})", "tokens[0]: found a list, expected a token"},
        BadLine{R"({"id": "a", "tokens": [4294967297]})", "tokens[0]: found 4294967297"},
        BadLine{R"({"id": "a", "tokens": [null]})", "tokens[0]: found null"},
        BadLine{with(R"("max_new_tokens": 0)"),
                "max_new_tokens: found 0, expected a whole number from 1 to 2147483647"},
        BadLine{with(R"("max_new_tokens": 1.5)"), "max_new_tokens: found 1.5"},
        BadLine{with(R"("max_new_tokens": 100000000000000000000000)"), "found 1e+23, expected"},
        BadLine{with(R"("temperature": 200)"), "temperature: found 200, expected a number from 0"},
        BadLine{with(R"("temperature": -1)"), "temperature: found -1"},
        BadLine{with(R"("temperature": "hot")"), "temperature: found \"hot\""},
        BadLine{with(R"("top_k": -1)"), "top_k: found -1, expected a whole number from 0"},
        BadLine{with(R"("top_p": 0)"), "top_p: found 0, expected a number above 0, at most 1"},
        BadLine{with(R"("top_p": 1.01)"), "top_p: found 1.01"},
        BadLine{with(R"("min_p": 2)"), "min_p: found 2, expected a number from 0 to 1"},
        BadLine{with(R"("repetition_penalty": 0)"), "repetition_penalty: found 0, expected"},
        BadLine{with(R"("repetition_penalty": 101)"), "repetition_penalty: found 101, expected"},
        BadLine{with(R"("seed": -1)"), "seed: found -1, expected a whole number from 0 to 184467"},
        BadLine{with(R"("seed": 18446744073709551616)"), "seed: found 18446744073709551616"},
        BadLine{with(R"("stop": [""])"), "stop[0]: found \"\", expected a string that is not"},
        BadLine{with(R"("stop": ["a", 1])"), "stop[1]: found 1"},
        BadLine{with(R"("stop": [)" +
                     [] {
                         std::string stops = "\"0\"";
                         for (int i = 1; i < 17; ++i) stops += ", \"x\"";
                         return stops;
                     }() +
                     "]"),
                "stop: more than 16 strings"},
        BadLine{with(R"("stop_token_ids": 3)"), "stop_token_ids: found 3, expected a list"},
        BadLine{with(R"("images": "a.png")"), "images: found \"a.png\", expected a list of paths"},
        BadLine{with(R"("images": ["a.png", ""])"), "images[1]: found \"\", expected a path or"},
        BadLine{with(R"("images": [{"url": "a.png"}])"), "images[0]: found an object"},
        BadLine{R"({"id": "a", "messages": "x"})", "messages: found \"x\", expected a list"},
        BadLine{R"({"custom_id": "a", "body": [1]})", "body: found a list, expected an object"},
        BadLine{R"({"custom_id": "a", "method": "GET", "body": {}})",
                "method: found \"GET\", expected \"POST\""},
        BadLine{R"({"custom_id": "a", "url": "/v1/embeddings", "body": {}})",
                "url: found \"/v1/embeddings\", expected \"/v1/chat/completions\""},
        BadLine{with(R"("ignore_eos": 1)"), "ignore_eos: found 1, expected true or false"},
        BadLine{with(R"("logprobs": 21)"),
                "logprobs: found 21, expected true, false or a whole number from 0 to 20"},
        BadLine{R"({"id": "a", "prompt": "p", "completion": 1})",
                "completion: found 1, expected a string", Task::score}));

TEST(RequestLine, ErrorKeepsAnIdThatStandsAnywhere) {
    EXPECT_EQ(refuse(R"({"top_k": -1, "prompt": "p", "id": "later"})").id, "later");
    EXPECT_EQ(refuse(R"({"messages": [{"id": "no"}], "id": "yes"})").id, "yes");
    EXPECT_EQ(refuse(R"({"body": {"id": "no"}, "custom_id": "batch"})").id, "batch");
    EXPECT_EQ(refuse(R"({"id": "cut", "prompt": )").id, "cut");
    EXPECT_EQ(refuse(R"({"prompt": "p"})").id, std::nullopt);
}

TEST(RequestLine, LongGarbageGivesAShortMessage) {
    EXPECT_LT(refuse("{\"" + std::string(1000000, 'k') + "\": 1}").message.size(), 400U);
    EXPECT_LT(refuse("{\"id\": \"" + std::string(1000000, '\xC3')).message.size(), 400U);
    EXPECT_LT(refuse("{" + std::string(1000000, 'x')).message.size(), 400U);
}

TEST(RequestLine, NestingIsLimited) {
    EXPECT_THAT(refuse("{\"id\": \"a\", \"messages\": " + std::string(1000000, '[')).message,
                HasSubstr("more than 64 levels"));
}

TEST(RequestLine, MessagesOfManyValuesAreRefusedBeforeTheyTakeMemory) {
    std::string line = R"({"id": "a", "messages": [[])";
    for (int i = 0; i < 70'000; ++i) line += ",[]";
    EXPECT_THAT(refuse(line + "]}").message, HasSubstr("has more than 65536 values"));
}

TEST(RequestLine, TakesPathsAndDataUrlsOfImages) {
    auto const line = parse(R"({"id": "a", "images": ["b.png", "data:x"], "tokens": [1]})");
    EXPECT_THAT(line.images, ElementsAre("b.png", "data:x"));
}

}  // namespace
}  // namespace tesserank::io
