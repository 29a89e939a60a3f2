#include "io/requests/json_text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <limits>

namespace tesserank::io {
namespace {

std::string json_of(std::string_view text) {
    std::string json;
    append_json(json, text);
    return json;
}

std::string json_of(float value) {
    std::string json;
    append_json(json, value);
    return json;
}

TEST(JsonText, EscapesWhatJsonMustNotHold) {
    EXPECT_EQ(json_of(std::string_view("a\"\\\n\r\t\0\x1F\x7F", 9)),
              "\"a\\\"\\\\\\n\\r\\t\\u0000\\u001f\x7F\"");
}

TEST(JsonText, KeepsUtf8AndReplacesOtherBytes) {
    EXPECT_EQ(json_of("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\"");
    EXPECT_EQ(json_of("a\xFF\xF0\x9F"), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(JsonText, WritesTheShortestNumberThatReadsBack) {
    EXPECT_EQ(json_of(0.1F), "0.1");
    EXPECT_EQ(json_of(-1.0F), "-1");
    EXPECT_EQ(json_of(16777217.0F), "16777216");
    for (auto const value : {1.0F / 3, -12.0575265F, 1e-38F, 3.4e38F}) {
        EXPECT_EQ(std::strtof(json_of(value).c_str(), nullptr), value);
    }
    EXPECT_EQ(json_of(std::numeric_limits<float>::infinity()), "null");
    EXPECT_EQ(json_of(std::numeric_limits<float>::quiet_NaN()), "null");
}

TEST(JsonText, ObjectKeepsTheOrderOfItsMembers) {
    std::array<int const, 2> const list{1, 2};
    EXPECT_EQ(JsonObject().close(), "{}");
    EXPECT_EQ(JsonObject()
                  .add("b", "x")
                  .add("a", std::span<int const>(list))
                  .add_null("c")
                  .add_json("d", "{}")
                  .close(),
              R"({"b": "x", "a": [1, 2], "c": null, "d": {}})");
}

TEST(JsonText, QuotesNoHalfCharacter) {
    EXPECT_EQ(quote_start("\xC3\xA9t\xC3\xA9", 10), "\"\xC3\xA9t\xC3\xA9\"");
    EXPECT_EQ(quote_start("\xC3\xA9t\xC3\xA9", 4), "\"\xC3\xA9t\"...");
}

}  // namespace
}  // namespace tesserank::io
