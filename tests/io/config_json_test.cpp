#include "io/requests/config_json.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

using model::ConfigValue;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(std::string_view json) {
    try {
        parse_config(json, "config.json");
    } catch (kernels::InputError const& error) {
        return error.what();
    }
    return "accepted";
}

TEST(ConfigJson, KeepsEveryKindOfValue) {
    auto const config = parse_config(
        R"({"a": [1, -2, 2.5, 1e3, true, null, "x", []], "b": {"c": {}, "d": 9223372036854775807}})",
        "config.json");
    auto const& root = std::get<ConfigValue::Object>(config.value);
    auto const& list = std::get<ConfigValue::Array>(root.at("a").value);
    ASSERT_EQ(list.size(), 8U);
    EXPECT_EQ(std::get<std::int64_t>(list[0].value), 1);
    EXPECT_EQ(std::get<std::int64_t>(list[1].value), -2);
    EXPECT_EQ(std::get<double>(list[2].value), 2.5);
    EXPECT_EQ(std::get<double>(list[3].value), 1000.0);
    EXPECT_TRUE(std::get<bool>(list[4].value));
    EXPECT_TRUE(list[5].is_null());
    EXPECT_EQ(std::get<std::string>(list[6].value), "x");
    EXPECT_TRUE(std::get<ConfigValue::Array>(list[7].value).empty());
    auto const& inner = std::get<ConfigValue::Object>(root.at("b").value);
    EXPECT_TRUE(std::get<ConfigValue::Object>(inner.at("c").value).empty());
    EXPECT_EQ(std::get<std::int64_t>(inner.at("d").value), INT64_MAX);
}

TEST(ConfigJson, TakesASingleValue) {
    EXPECT_EQ(std::get<std::int64_t>(parse_config(" 5 ", "x").value), 5);
}

TEST(ConfigJson, RefusalsNameOriginAndReason) {
    EXPECT_THAT(refusal("{\"a\": 1"), StartsWith("config.json: not valid JSON at byte "));
    EXPECT_THAT(refusal(""), StartsWith("config.json: not valid JSON at byte "));
    EXPECT_THAT(refusal("1 2"), StartsWith("config.json: not valid JSON at byte "));
    EXPECT_THAT(refusal(std::string_view("{}\0{", 4)), HasSubstr("found a NUL byte"));
    EXPECT_THAT(refusal("{\"a\": \"\xFF\"}"), HasSubstr("ill-formed UTF-8"));
    EXPECT_EQ(refusal(R"({"a": 1, "b": {}, "a": 2})"),
              "config.json: the key \"a\" appears twice in one object");
    EXPECT_EQ(refusal("[9223372036854775808]"),
              "config.json: found the integer 9223372036854775808, expected one that fits 64 bits");
    EXPECT_THAT(refusal("-99999999999999999999"), HasSubstr("-99999999999999999999"));
    EXPECT_EQ(refusal(std::string(65, '[') + std::string(65, ']')),
              "config.json: more than 64 levels of lists and objects");
    EXPECT_EQ(refusal(std::string(1000000, '[')),
              "config.json: more than 64 levels of lists and objects");
    EXPECT_EQ(refusal(std::string(64, '[') + std::string(64, ']')), "accepted");
}

}  // namespace
}  // namespace tesserank::io
