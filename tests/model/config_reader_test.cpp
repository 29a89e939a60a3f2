#include "model/config_reader.hpp"

#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace tesserank::model {
namespace {

using test::input_error_of;
using test::object;
using test::Object;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ConfigReader, ReadsEveryKindOfValue) {
    Object const json = object({{"size", 12},
                                {"real", 0.5},
                                {"flag", true},
                                {"text", "abc"},
                                {"texts", std::array{"a", "b"}},
                                {"id", 3},
                                {"ids", std::array{4, 0}},
                                {"nested", object({{"inner", 2}})}});
    ConfigReader reader(json, "config.json");
    EXPECT_EQ(reader.size("size"), 12);
    EXPECT_EQ(reader.number("real"), 0.5);
    EXPECT_EQ(reader.number("size"), 12.0);
    EXPECT_TRUE(reader.flag_or("flag", false));
    EXPECT_EQ(reader.text("text"), "abc");
    EXPECT_THAT(reader.texts("texts"), ElementsAre("a", "b"));
    EXPECT_THAT(reader.token_ids("id"), ElementsAre(3));
    EXPECT_THAT(reader.token_ids("ids"), ElementsAre(4, 0));
    auto nested = reader.object("nested");
    ASSERT_TRUE(nested.has_value());
    EXPECT_EQ(nested->size("inner"), 2);
    EXPECT_NO_THROW(nested->finish({}));
    EXPECT_NO_THROW(reader.finish({}));
}

TEST(ConfigReader, TakesTheFallbackForAbsentAndNull) {
    Object const json = object({{"null", nullptr}});
    ConfigReader reader(json, "config.json");
    for (auto const* key : {"null", "absent"}) {
        SCOPED_TRACE(key);
        EXPECT_FALSE(reader.has(key));
        EXPECT_EQ(reader.size_or(key, 7), 7);
        EXPECT_EQ(reader.number_or(key, 0.25), 0.25);
        EXPECT_TRUE(reader.flag_or(key, true));
        EXPECT_EQ(reader.text_or(key, "x"), "x");
        EXPECT_TRUE(reader.token_ids(key).empty());
        EXPECT_FALSE(reader.object(key).has_value());
    }
    EXPECT_NO_THROW(reader.finish({}));
}

TEST(ConfigReader, NamesAMissingKeyAndTheObject) {
    Object const json;
    ConfigReader reader(json, "config.json: rope_scaling");
    auto const message = input_error_of([&] { reader.size("factor"); });
    EXPECT_THAT(message, AllOf(HasSubstr("config.json: rope_scaling"), HasSubstr("factor"),
                               HasSubstr("missing")));
}

struct WrongType {
    char const* name;
    ConfigValue value;
    void (*read)(ConfigReader& reader);
    char const* found;
};
void PrintTo(WrongType const& wrong, std::ostream* out) { *out << wrong.name; }

class ConfigReaderWrongType : public ::testing::TestWithParam<WrongType> {};

TEST_P(ConfigReaderWrongType, IsRefusedWithKeyAndValue) {
    auto const& wrong = GetParam();
    Object const json{{"key", wrong.value}};
    ConfigReader reader(json, "config.json");
    auto const message = input_error_of([&] { wrong.read(reader); });
    EXPECT_THAT(message, AllOf(HasSubstr("config.json: key"), HasSubstr(wrong.found),
                               HasSubstr("expected")));
}

void read_size(ConfigReader& reader) { reader.size_or("key", 1); }
void read_number(ConfigReader& reader) { reader.number_or("key", 1); }
void read_flag(ConfigReader& reader) { reader.flag_or("key", false); }
void read_text(ConfigReader& reader) { reader.text_or("key", ""); }
void read_texts(ConfigReader& reader) { reader.texts("key"); }
void read_ids(ConfigReader& reader) { reader.token_ids("key"); }
void read_object(ConfigReader& reader) { reader.object("key"); }

INSTANTIATE_TEST_SUITE_P(
    Values, ConfigReaderWrongType,
    ::testing::Values(
        WrongType{"size_zero", test::json(0), read_size, "0"},
        WrongType{"size_negative", test::json(-1), read_size, "-1"},
        WrongType{"size_large", test::json((std::int64_t{1} << 31) + 1), read_size, "2147483649"},
        WrongType{"size_real", test::json(4.0), read_size, "4.0"},
        WrongType{"size_text", test::json("4"), read_size, "\"4\""},
        WrongType{"number_text", test::json("0.5"), read_number, "\"0.5\""},
        WrongType{"number_nan", test::json(std::numeric_limits<double>::quiet_NaN()), read_number,
                  "nan"},
        WrongType{"number_flag", test::json(true), read_number, "true"},
        WrongType{"flag_number", test::json(1), read_flag, "1"},
        WrongType{"text_array", test::json(std::array{"a"}), read_text, "an array of 1"},
        WrongType{"texts_text", test::json("a"), read_texts, "\"a\""},
        WrongType{"texts_numbers", test::json(std::array{1}), read_texts, "1"},
        WrongType{"ids_negative", test::json(std::array{3, -2}), read_ids, "-2"},
        WrongType{"ids_large", test::json(std::int64_t{1} << 31), read_ids, "2147483648"},
        WrongType{"ids_text", test::json("2"), read_ids, "\"2\""},
        WrongType{"object_text", test::json("{}"), read_object, "\"{}\""},
        WrongType{"object_array", test::json(std::array{1, 2}), read_object, "an array of 2"}),
    [](auto const& param) { return param.param.name; });

TEST(ConfigReader, AcceptsTheLargestSize) {
    Object const json = object({{"key", std::int64_t{1} << 31}});
    EXPECT_EQ(ConfigReader(json, "config.json").size("key"), std::size_t{1} << 31);
}

TEST(ConfigReader, RefusesKeysThatNobodyReadAndListsThem) {
    Object const json = object(
        {{"read", 1}, {"harmless", 2}, {"ignored", 3}, {"alibi", true}, {"partial", "half"}});
    ConfigReader reader(json, "config.json");
    reader.size("read");
    reader.ignore("ignored");
    constexpr std::array<std::string_view, 1> harmless{"harmless"};
    auto const message = input_error_of([&] { reader.finish(harmless); });
    EXPECT_THAT(message, AllOf(HasSubstr("alibi = true"), HasSubstr("partial = \"half\"")));
    EXPECT_THAT(message, ::testing::Not(HasSubstr("harmless")));
    EXPECT_THAT(message, ::testing::Not(HasSubstr("ignored =")));
}

TEST(ConfigReader, NamesTheOuterObjectOfANestedOne) {
    Object const json = object({{"rope_scaling", object({{"unheard_of", 1}})}});
    ConfigReader reader(json, "config.json");
    auto const nested = reader.object("rope_scaling");
    ASSERT_TRUE(nested.has_value());
    auto const message = input_error_of([&] { nested->finish({}); });
    EXPECT_THAT(message, HasSubstr("config.json: rope_scaling: not understood: unheard_of"));
}

}  // namespace
}  // namespace tesserank::model
