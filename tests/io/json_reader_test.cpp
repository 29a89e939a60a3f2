#include "io/json_reader.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

using kernels::InputError;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(JsonReader, ReadsValuesWithTheirPlaces) {
    JsonDocument const document(R"({"a": {"b": [1, "x", true, 2.5]}})", "f.json");
    auto const list = document.root().at("a").at("b").elements();
    EXPECT_EQ(list[0].integer(0, 9), 1);
    EXPECT_EQ(list[1].string(), "x");
    EXPECT_TRUE(list[2].boolean());
    EXPECT_EQ(list[3].number(), 2.5);
    EXPECT_EQ(list[3].path(), "f.json: a.b[3]");
    EXPECT_EQ(document.root().at("a").members()[0].first, "b");
}

TEST(JsonReader, TakesNullForAMissingOptionalValue) {
    JsonDocument const document(R"({"a": null, "b": false})", "f.json");
    EXPECT_FALSE(document.root().find("a"));
    EXPECT_FALSE(document.root().find("c"));
    EXPECT_TRUE(document.root().boolean_or("a", true));
    EXPECT_FALSE(document.root().boolean_or("b", true));
}

TEST(JsonReader, SaysWhereWhatWasFoundAndWhatWasExpected) {
    JsonDocument const document(R"({"a": {"b": "text"}, "big": 18446744073709551615})", "f.json");
    auto const root = document.root();
    auto const throws = [](std::string const& message) {
        return ThrowsMessage<InputError>(HasSubstr(message));
    };
    EXPECT_THAT([&] { root.at("a").at("b").boolean(); },
                throws("f.json: a.b: found \"text\", expected true or false"));
    EXPECT_THAT([&] { root.at("a").string(); }, throws("a: found an object, expected a string"));
    EXPECT_THAT([&] { root.at("c"); }, throws("f.json: the key \"c\" is missing"));
    EXPECT_THAT([&] { root.at("big").integer(0, 5); }, throws("whole number from 0 to 5"));
    EXPECT_THAT([&] { root.allow_only({"a"}); }, throws("\"big\" is not supported here"));
}

TEST(JsonReader, RefusesWhatIsNotJson) {
    std::string const deep(100'000, '[');
    for (std::string const& text :
         {std::string("[1"), std::string("{\"a\":1,\"a\":2}"), std::string("\"\xFF\""),
          std::string("[\"\\ud800\"]"), std::string("[1e999]"), std::string(),
          std::string("{}\0garbage", 10), deep}) {
        EXPECT_THROW(JsonDocument(text, "f.json"), InputError) << text.substr(0, 20);
    }
}

TEST(JsonReader, MessagesHoldNamesCutAndEscaped) {
    auto const message_of = [](std::string const& text) -> std::string {
        try {
            JsonDocument const document(text, "f.json");
            document.root().allow_only({"known"});
            document.root().members().front().second.boolean();
        } catch (InputError const& error) {
            return error.what();
        }
        return "no error";
    };
    std::string const key = "\"\\n\\u001b[2J" + std::string(1'000'000, 'x') + "\"";
    for (auto const& text : {"{" + key + ":1}", "{" + key + ":1," + key + ":1}", "{" + key + "}",
                             std::string("{\"\x1b[2J\n\":1}")}) {
        auto const message = message_of(text);
        EXPECT_THAT(message, HasSubstr("f.json: "));
        EXPECT_LT(message.size(), 500U);
        EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos) << message;
    }
    JsonDocument const document("{" + key + ":1}", "f.json");
    EXPECT_LT(document.root().members().front().second.path().size(), 300U);
}

TEST(JsonReader, OneElementIsReadWithoutTheOthers) {
    JsonDocument const document("[1, 2, 3]", "f.json");
    EXPECT_EQ(document.root().size(), 3U);
    EXPECT_EQ(document.root().element(2).integer(0, 9), 3);
    EXPECT_EQ(document.root().element(2).path(), "f.json: [2]");
    EXPECT_THROW(document.root().element(3), kernels::LogicError);
    JsonDocument const number("1", "f.json");
    EXPECT_THROW(number.root().size(), InputError);
}

/// Quadratic time would run into the test's TIMEOUT.
TEST(JsonReader, ManyMembersTakeLinearTime) {
    std::string text = "{\"first\": []";
    for (int i = 0; i < 500'000; ++i) text += ", \"" + std::to_string(i) + "\": {\"a\": [1]}";
    JsonDocument const document(text + "}", "f.json");
    EXPECT_EQ(document.root().members().size(), 500'001U);
}

}  // namespace
}  // namespace tesserank::io
