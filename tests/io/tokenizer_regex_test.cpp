#include "io/tokenizer/regex.hpp"
#include "io/tokenizer/regex_syntax.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io::detail {
namespace {

using kernels::InputError;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
    RegexScratch scratch;
    std::vector<Span> spans;
    Regex(pattern).find_all(text, scratch, spans);
    std::vector<std::string> found;
    for (auto const [begin, end] : spans) found.emplace_back(text.substr(begin, end - begin));
    return found;
}

using Found = std::vector<std::string>;

TEST(Regex, FindsEveryMatch) {
    EXPECT_EQ(matches(R"(\p{L}+|\p{N}{1,3})", "ab, 12345é"), (Found{"ab", "123", "45", "é"}));
    EXPECT_EQ(matches(R"(\s+(?!\S)|\s+)", "a   b "), (Found{"  ", " ", " "}));
    EXPECT_EQ(matches("(?i:'s|'t)", "it'S isn't"), (Found{"'S", "'t"}));
    EXPECT_EQ(matches("x", std::string(5000, 'y') + "x"), (Found{"x"})) << "far from the start";
}

TEST(Regex, LeavesOutAnEmptyMatchRightAfterAnother) {
    EXPECT_EQ(matches("a*", "baab"), (Found{"", "aa", ""}));
    EXPECT_EQ(matches("", "é"), (Found{"", ""}));
}

TEST(Regex, MeansWhatOnigurumaMeans) {
    EXPECT_EQ(matches(R"(\s)", "\u180E\u3000\u0085"), (Found{"\u3000", "\u0085"}));
    EXPECT_EQ(matches(R"(\w+)", "a\u0301b-c\u203Fd"), (Found{"a\u0301b", "c\u203Fd"}));
    EXPECT_EQ(matches(R"(\b.)", "½ a"), (Found{"½", " ", "a"}));
    EXPECT_EQ(matches("a{,2}b", "aaab"), (Found{"aab"}));
    EXPECT_EQ(matches("a{x}", "a{x}"), (Found{"a{x}"}));
    EXPECT_EQ(matches(R"(\v)", "\n\v"), (Found{"\v"}));
    EXPECT_EQ(matches(R"(\u4e2d|[\u00e9])", "中é"), (Found{"中", "é"}));
    EXPECT_EQ(matches(R"(\p{Han}+)", "中文、"), (Found{"中文"}));
    EXPECT_EQ(matches(R"([^\S\n]+)", " \n\t"), (Found{" ", "\t"}));
    EXPECT_EQ(matches("^b$", "a\nb\nc"), (Found{"b"})) << "lines, as in Ruby";
}

TEST(Regex, RefusesWhatWouldMeanSomethingElse) {
    for (auto const* const pattern :
         {"[a[bc]]", "[a-z&&[^b]]", "[[:alpha:]]",     R"(\h)",    R"(\R)",
          R"(\X)",   R"(\K)",       R"(\G)",           R"((a)\1)", "a{2}+",
          "a{2}?",   "(?m:.)",      "a(?i)b|c",        "(?<n>a)",  "(?R)",
          "(*FAIL)", "(?~a)",       R"(\p{Letter-x})", R"(\xFF)",  R"(\Qa\E)"}) {
        EXPECT_THROW(Regex{pattern}, InputError) << pattern;
    }
}

TEST(Regex, RefusesWhatDoesNotCompile) {
    for (auto const* const pattern : {"(", "a)", "[", "*", "\\", R"(\p{L)", R"(\p{Klingon})",
                                      "(?<=a+)", "a{9,1}", "[z-a]", R"(\x{110000})"}) {
        EXPECT_THROW(Regex{pattern}, InputError) << pattern;
    }
    EXPECT_THROW(Regex{std::string(1000, '(') + std::string(1000, ')')}, InputError);
    EXPECT_THROW(Regex{std::string(70'000, 'a')}, InputError);
}

TEST(Regex, EndsAHostileSearchWithAnError) {
    EXPECT_THROW(matches(R"((?:a+)+\d)", std::string(64, 'a')), InputError);
    EXPECT_THROW(matches(R"((?:a|a)*\d)", std::string(200, 'a')), InputError);
}

TEST(RegexSyntax, LeavesTheUsualPatternsAlmostAlone) {
    EXPECT_EQ(pcre2_from_oniguruma(R"( ?\p{L}+|[^\r\n\p{L}]?)"), R"( ?\p{L}+|[^\r\n\p{L}]?)");
    EXPECT_EQ(pcre2_from_oniguruma(R"(\s+(?!\S))"),
              R"([\t-\r\x{85}\p{Z}]+(?![^\t-\r\x{85}\p{Z}]))");
}

}  // namespace
}  // namespace tesserank::io::detail
