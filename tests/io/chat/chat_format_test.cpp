#include "io/chat/chat_format.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace tesserank::io {
namespace {

using Role = ChatMessage::Role;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

ChatFormat const simple{.start = "^",
                        .system = {"<s>", "</s>"},
                        .user = {"<u>", "</u>"},
                        .assistant = {"<a>", "</a>"},
                        .answer = "<a>",
                        .default_system = std::nullopt,
                        .turn_end = "</a>"};

ChatMessage message(Role role, std::string text) {
    return {.role = role, .content = PicturedText(std::move(text))};
}

std::string text_of(ChatFormat const& format, std::vector<ChatMessage> const& messages) {
    return render(format, messages).texts.front();
}

TEST(ChatFormatTest, AMessageOfTheSystemReplacesTheUsualOne) {
    auto format = simple;
    EXPECT_EQ(text_of(format, {message(Role::user, "q")}), "^<u>q</u><a>");
    format.default_system = "d";
    EXPECT_EQ(text_of(format, {message(Role::user, "q")}), "^<s>d</s><u>q</u><a>");
    EXPECT_EQ(text_of(format, {message(Role::system, "e"), message(Role::user, "q")}),
              "^<s>e</s><u>q</u><a>");
}

TEST(ChatFormatTest, ContentsOrTurnsLoseTheirWhiteSpace) {
    std::vector<ChatMessage> const messages{message(Role::system, " s\n"),
                                            message(Role::user, "\u00A0\tq ")};
    auto format = simple;
    EXPECT_EQ(text_of(format, messages), "^<s> s\n</s><u>\u00A0\tq </u><a>");
    format.trim = ChatFormat::Trim::contents;
    EXPECT_EQ(text_of(format, messages), "^<s>s</s><u>q</u><a>");
    format.system_place = ChatFormat::SystemPlace::first_user_turn;
    EXPECT_EQ(text_of(format, messages), "^<u><s>s</s>q</u><a>");
    format.trim = ChatFormat::Trim::turns;
    EXPECT_EQ(text_of(format, messages), "^<u><s> s\n</s>\u00A0\tq</u><a>");
}

TEST(ChatFormatTest, PicturesKeepTheirPlaces) {
    ChatMessage first = message(Role::user, " a");
    first.content.add_picture();
    first.content.add("b");
    first.content.add_picture();
    auto format = simple;
    format.trim = ChatFormat::Trim::contents;
    EXPECT_THAT(render(format, std::vector{first, message(Role::assistant, "c")}).texts,
                ElementsAre("^<u>a", "b", "</u><a>c</a><a>"));
}

TEST(ChatFormatTest, MessagesOutOfOrderAreNamed) {
    auto const refusal = [](ChatFormat const& format, std::vector<ChatMessage> const& messages,
                            std::string const& text) {
        EXPECT_THAT([&] { render(format, messages); },
                    ThrowsMessage<kernels::InputError>(HasSubstr(text)));
    };
    refusal(simple, {}, "no message of the user");
    refusal(simple, {message(Role::system, "s")}, "no message of the user");
    refusal(simple, {message(Role::user, "q"), message(Role::system, "s")}, "messages[1]: found a");
    auto alternating = simple;
    alternating.system_place = ChatFormat::SystemPlace::first_user_turn;
    refusal(alternating, {message(Role::assistant, "a")},
            "messages[0]: found the role out of turn");
    refusal(alternating,
            {message(Role::system, "s"), message(Role::user, "q"), message(Role::user, "r")},
            "messages[2]: found the role out of turn");
}

}  // namespace
}  // namespace tesserank::io
