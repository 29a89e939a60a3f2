// UTF-8, Unicode and the byte alphabet.

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/unicode.hpp"
#include "io/tokenizer/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tesserank::io::detail {
namespace {

constexpr auto npos = std::string_view::npos;

TEST(Utf8, FindsTheFirstWrongByte) {
    EXPECT_EQ(find_invalid_utf8(""), npos);
    EXPECT_EQ(find_invalid_utf8("plain ASCII text, é, 中, 😀"), npos);
    EXPECT_EQ(find_invalid_utf8("0123456789\xFF"), 10U);
    EXPECT_EQ(find_invalid_utf8("a\xC0\x80"), 1U) << "overlong";
    EXPECT_EQ(find_invalid_utf8("a\xED\xA0\x80"), 1U) << "surrogate";
    EXPECT_EQ(find_invalid_utf8("a\xF4\x90\x80\x80"), 1U) << "above U+10FFFF";
    EXPECT_EQ(find_invalid_utf8("ab\xE4\xB8"), 2U) << "cut short";
}

TEST(Utf8, WritesWhatItReads) {
    for (char32_t const value : {U'a', U'é', U'中', U'\U0001F600', U'\U0010FFFF'}) {
        std::string text = "x";
        append_character(text, value);
        EXPECT_EQ(character_at(text, 1).value, value);
        EXPECT_EQ(character_before(text, text.size()).value, value);
        EXPECT_EQ(character_before(text, text.size()).size, text.size() - 1);
    }
}

std::string lossy(std::string_view bytes, std::size_t step) {
    LossyUtf8 decoder;
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        decoder.append(bytes.substr(at, step), text);
        EXPECT_EQ(find_invalid_utf8(text), npos);
    }
    decoder.finish(text);
    return text;
}

TEST(LossyUtf8, PutsOneReplacementForEachError) {
    for (std::size_t const step : {1U, 2U, 3U, 100U}) {
        EXPECT_EQ(lossy("a\xE4\xB8z", step), "a\uFFFDz");              // one cut character
        EXPECT_EQ(lossy("\xE4\xE4\xB8\xAD", step), "\uFFFD中");        // then a whole one
        EXPECT_EQ(lossy("\xED\xA0\x80", step), "\uFFFD\uFFFD\uFFFD");  // nothing of it can be right
        EXPECT_EQ(lossy("\xF0\x9F\x98", step), "\uFFFD");              // at the end
        EXPECT_EQ(lossy("\x80\xFF", step), "\uFFFD\uFFFD");
    }
}

TEST(Unicode, KnowsTheClassesThatTokenizersUse) {
    EXPECT_TRUE(is_whitespace(0x3000) && is_whitespace(0x85) && is_whitespace('\t'));
    EXPECT_FALSE(is_whitespace(0x180E) || is_whitespace(0x200B));
    EXPECT_TRUE(is_numeric('7') && is_numeric(0xBD) && is_numeric(0x2167) && is_numeric(0x663));
    EXPECT_FALSE(is_numeric('a') || is_numeric(0x4E00));
    EXPECT_TRUE(is_word('_') && is_word(0x301) && is_word(0x4E2D) && is_word(0x24B6));
    EXPECT_FALSE(is_word('-') || is_word(0xBD) || is_word(0x1F600));
    std::string lower;
    for (char32_t const value : {U'A', U'Σ', U'İ', U'中'}) append_lowercase(lower, value);
    EXPECT_EQ(lower, "aσi\u0307中");
}

TEST(Unicode, Normalizes) {
    EXPECT_EQ(normalized("plain", NormalForm::nfc), "plain");
    EXPECT_EQ(normalized("e\u0301 \u212B", NormalForm::nfc), "\u00E9 \u00C5");
    EXPECT_EQ(normalized("\u00E9", NormalForm::nfd), "e\u0301");
    EXPECT_EQ(normalized("\uFB01\u00BD", NormalForm::nfkc), "fi1\u20442");
    EXPECT_EQ(normalized("\uAC00", NormalForm::nfkd), "\u1100\u1161");
    EXPECT_EQ(normalized("a\u0301\u0323b", NormalForm::nfd), "a\u0323\u0301b") << "order of marks";
    EXPECT_EQ(normalized("\u0958", NormalForm::nfc), "\u0915\u093C") << "composition exclusion";
}

TEST(ByteLevel, GivesEveryByteACharacterAndBack) {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
    std::string characters;
    append_byte_characters(bytes, characters);
    EXPECT_EQ(find_invalid_utf8(characters), npos);
    EXPECT_EQ(bytes_of_token(characters), bytes);
    std::string space;
    append_byte_characters(" \n", space);
    EXPECT_EQ(space, "ĠĊ");
    EXPECT_EQ(bytes_of_token("<| x |>"), "<| x |>") << "a space stands for no byte";
}

}  // namespace
}  // namespace tesserank::io::detail
