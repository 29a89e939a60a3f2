#include "io/requests/chat_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using Role = ChatMessage::Role;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::variant<RequestLine, RequestError> parse(std::string const& messages,
                                              std::string const& images = "[]") {
    return parse_request_line(
        R"({"id": "a", "messages": )" + messages + R"(, "images": )" + images + "}",
        Task::generate);
}

RequestLine accept(std::string const& messages, std::string const& images = "[]") {
    auto parsed = parse(messages, images);
    if (auto const* error = std::get_if<RequestError>(&parsed)) {
        ADD_FAILURE() << messages << " was refused: " << error->message;
        RequestLine empty;
        empty.prompt = std::vector<ChatMessage>(9);
        return empty;
    }
    return std::get<RequestLine>(std::move(parsed));
}

std::string refuse(std::string const& messages, std::string const& images = "[]") {
    auto const parsed = parse(messages, images);
    auto const* error = std::get_if<RequestError>(&parsed);
    return error == nullptr ? "was accepted" : error->message;
}

std::vector<ChatMessage> const& messages_of(RequestLine const& line) {
    return std::get<std::vector<ChatMessage>>(line.prompt);
}

TEST(ChatMessages, HaveRolesAndTexts) {
    auto const line = accept(R"([{"role": "developer", "content": "s"},
        {"role": "user", "content": "q", "name": "me", "tool_calls": null},
        {"role": "assistant", "content": [{"type": "text", "text": "a"},
                                          {"type": "text", "text": "b"}]}])");
    ASSERT_EQ(messages_of(line).size(), 3U);
    EXPECT_EQ(messages_of(line)[0].role, Role::system);
    EXPECT_EQ(messages_of(line)[1].role, Role::user);
    EXPECT_THAT(messages_of(line)[1].content.texts, ElementsAre("q"));
    EXPECT_EQ(messages_of(line)[2].role, Role::assistant);
    EXPECT_THAT(messages_of(line)[2].content.texts, ElementsAre("ab"));
    EXPECT_THAT(line.images, IsEmpty());
}

TEST(ChatMessages, PartsBringTheirPictures) {
    auto const line = accept(R"([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "a.png", "detail": "auto"}},
        {"type": "text", "text": "and"}, {"type": "image_url", "image_url": "b.png"},
        {"type": "image", "image": "c.png"}, {"type": "image", "url": "data:d"},
        {"type": "image", "path": "e"}]}])");
    EXPECT_THAT(line.images, ElementsAre("a.png", "b.png", "c.png", "data:d", "e"));
    EXPECT_THAT(messages_of(line)[0].content.texts,
                ElementsAre("", "\nand", "\n", "\n", "\n", "\n"));
}

TEST(ChatMessages, PartsWithoutASourceTakeTheImagesInTurn) {
    auto const line = accept(
        R"([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "<image>"}]},
            {"role": "user", "content": [{"type": "image"}]}])",
        R"(["a", "b"])");
    EXPECT_THAT(line.images, ElementsAre("a", "b"));
    // Where parts are pictures, a mark is nothing but text.
    EXPECT_THAT(messages_of(line)[0].content.texts, ElementsAre("", "\n<image>"));
    EXPECT_THAT(messages_of(line)[1].content.texts, ElementsAre("", "\n"));
}

TEST(ChatMessages, ImagesGoToTheMarksOrBeforeTheUsersFirstText) {
    std::string const two =
        R"([{"role": "system", "content": "s"}, {"role": "user", "content": "x<image>"},
            {"role": "user", "content": "<image>y"}])";
    auto const marked = accept(two, R"(["a", "b"])");
    EXPECT_THAT(messages_of(marked)[1].content.texts, ElementsAre("x", ""));
    EXPECT_THAT(messages_of(marked)[2].content.texts, ElementsAre("", "y"));
    EXPECT_THAT(refuse(two, R"(["a"])"),
                HasSubstr("messages: found 2 marks <image>, expected one for each of 1 images"));
    // Without images a mark is nothing but text.
    EXPECT_THAT(messages_of(accept(two))[1].content.texts, ElementsAre("x<image>"));
    auto const front =
        accept(R"([{"role": "system", "content": "s"}, {"role": "user", "content": "q"}])",
               R"(["a", "b"])");
    EXPECT_THAT(messages_of(front)[0].content.texts, ElementsAre("s"));
    EXPECT_THAT(messages_of(front)[1].content.texts, ElementsAre("", "\n", "\nq"));
    EXPECT_THAT(refuse(R"([{"role": "assistant", "content": "q"}])", R"(["a"])"),
                HasSubstr("found 0 marks"));
}

TEST(ChatMessages, WhatIsWrongIsNamedWithItsPlace) {
    EXPECT_THAT(refuse("[]"), HasSubstr("messages: is empty"));
    EXPECT_THAT(refuse("{}"), HasSubstr("messages: found an object, expected a list"));
    EXPECT_THAT(refuse("[1]"), HasSubstr("messages[0]: found 1, expected an object"));
    EXPECT_THAT(refuse(R"([{"content": "q"}])"), HasSubstr("messages[0]: the key \"role\""));
    EXPECT_THAT(refuse(R"([{"role": "user"}])"), HasSubstr("messages[0]: the key \"content\""));
    EXPECT_THAT(refuse(R"([{"role": "tool", "content": ""}])"),
                HasSubstr("messages[0].role: found \"tool\", expected system, user or assistant"));
    EXPECT_THAT(refuse(R"([{"role": "user", "content": 5}])"),
                HasSubstr("messages[0].content: found 5, expected a string or a list"));
    EXPECT_THAT(refuse(R"([{"role": "user", "content": "q", "tool_calls": []}])"),
                HasSubstr("the key \"tool_calls\" is not supported"));
    EXPECT_THAT(refuse(R"([{"role": "user", "role": "user", "content": "q"}])"),
                HasSubstr("\"role\" appears twice"));
    auto const part = [](std::string const& text) {
        return refuse(R"([{"role": "user", "content": [)" + text + "]}]");
    };
    EXPECT_THAT(
        part(R"({"type": "video"})"),
        HasSubstr("messages[0].content[0].type: found \"video\", expected text, image_url"));
    EXPECT_THAT(part(R"({"type": "text"})"), HasSubstr("the key \"text\" is missing"));
    EXPECT_THAT(part(R"({"type": "image_url", "image_url": {"url": "a", "detail": "low"}})"),
                HasSubstr("detail: found \"low\", expected auto or high"));
    EXPECT_THAT(part(R"({"type": "image", "image": ""})"), HasSubstr("an empty path"));
    EXPECT_THAT(part(R"({"type": "image", "image": "a", "url": "b"})"), HasSubstr("more than one"));
    EXPECT_THAT(part(R"({"type": "image"})"),
                HasSubstr("found 1 parts that are pictures, expected one for each of 0 images"));
    EXPECT_THAT(part(R"({"type": "image", "image": "a"}, {"type": "image"})"),
                HasSubstr("expected one of both"));
}

}  // namespace
}  // namespace tesserank::io
