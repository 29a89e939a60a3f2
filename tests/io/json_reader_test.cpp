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
          std::string("[\"\\ud800\"]"), std::string("[1e999]"), std::string(), deep}) {
        EXPECT_THROW(JsonDocument(text, "f.json"), InputError) << text.substr(0, 20);
    }
}

}  // namespace
}  // namespace tesserank::io
