#include "io/requests/openai_body.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::variant<RequestLine, RequestError> parse(std::string const& members) {
    return parse_request_line(
        R"({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {)"
        R"("model": "m", "messages": [{"role": "user", "content": "q"}])" +
            members + "}}",
        Task::generate);
}

RequestLine accept(std::string const& members) {
    auto parsed = parse(members);
    if (auto const* error = std::get_if<RequestError>(&parsed)) {
        ADD_FAILURE() << members << " was refused: " << error->message;
        return {};
    }
    return std::get<RequestLine>(std::move(parsed));
}

std::string refuse(std::string const& members) {
    auto const parsed = parse(members);
    auto const* error = std::get_if<RequestError>(&parsed);
    if (error == nullptr) return "was accepted";
    EXPECT_EQ(error->id, "a");
    return error->message;
}

TEST(OpenaiBody, SetsWhatALineOfOursSets) {
    auto const line = accept(
        R"(, "max_tokens": 5, "temperature": 0.5, "top_p": 0.25, "seed": 7, "stop": ["x", "y"],
           "top_k": 3, "min_p": 0.125, "repetition_penalty": 2, "stop_token_ids": [9],
           "ignore_eos": true, "logprobs": true, "top_logprobs": 4)");
    EXPECT_EQ(line.id, "a");
    EXPECT_EQ(std::get<std::vector<ChatMessage>>(line.prompt).size(), 1U);
    EXPECT_EQ(line.max_new_tokens, 5U);
    EXPECT_EQ(line.temperature, 0.5F);
    EXPECT_EQ(line.top_p, 0.25F);
    EXPECT_EQ(line.seed, 7U);
    EXPECT_THAT(line.stop, ElementsAre("x", "y"));
    EXPECT_EQ(line.top_k, 3U);
    EXPECT_EQ(line.min_p, 0.125F);
    EXPECT_EQ(line.repetition_penalty, 2.0F);
    EXPECT_THAT(line.stop_token_ids, ElementsAre(9));
    EXPECT_TRUE(line.ignore_eos);
    EXPECT_EQ(line.logprobs, 4U);
    EXPECT_EQ(accept(R"(, "max_completion_tokens": 6)").max_new_tokens, 6U);
    EXPECT_EQ(accept(R"(, "logprobs": true)").logprobs, 0U);
    EXPECT_EQ(accept(R"(, "logprobs": false)").logprobs, std::nullopt);
    EXPECT_THAT(accept(R"(, "stop": "z")").stop, ElementsAre("z"));
}

TEST(OpenaiBody, TakesWhatAsksForTheUsual) {
    accept(R"(, "n": 1, "stream": false, "presence_penalty": 0, "frequency_penalty": 0.0,
              "logit_bias": {}, "tools": [], "response_format": {"type": "text"}, "user": "me",
              "metadata": {"a": [1]}, "store": true, "temperature": null, "tool_choice": null)");
}

TEST(OpenaiBody, RefusesWhatIsNotDoneHere) {
    EXPECT_THAT(refuse(R"(, "n": 2)"),
                HasSubstr("body: the key \"n\" with \"2\" is not supported"));
    EXPECT_THAT(refuse(R"(, "stream": true)"), HasSubstr("\"stream\""));
    EXPECT_THAT(refuse(R"(, "presence_penalty": 0.5)"), HasSubstr("\"presence_penalty\""));
    EXPECT_THAT(refuse(R"(, "tools": [{}])"), HasSubstr("\"tools\""));
    EXPECT_THAT(refuse(R"(, "response_format": {"type": "json_object"})"),
                HasSubstr("json_object"));
    EXPECT_THAT(refuse(R"(, "prompt": "p")"), HasSubstr("\"prompt\""));
    EXPECT_THAT(refuse(R"(, "tokens": [1])"), HasSubstr("\"tokens\""));
    EXPECT_THAT(refuse(R"(, "temperature": "hot")"), HasSubstr("body: temperature: found \"hot\""));
    EXPECT_THAT(refuse(R"(, "stop": ["a", 1])"), HasSubstr("body: stop[1]: found 1"));
    EXPECT_THAT(refuse(R"(, "top_logprobs": 3)"), HasSubstr("without \"logprobs\": true"));
    EXPECT_THAT(refuse(R"(, "logprobs": 3)"), HasSubstr("body.logprobs: found 3"));
    EXPECT_THAT(refuse(R"(, "max_tokens": 1, "max_completion_tokens": 1)"), HasSubstr("both"));
    auto const none = parse_request_line(R"({"custom_id": "a", "body": {}})", Task::generate);
    EXPECT_THAT(std::get<RequestError>(none).message,
                HasSubstr("body: the key \"messages\" is missing"));
}

}  // namespace
}  // namespace tesserank::io
