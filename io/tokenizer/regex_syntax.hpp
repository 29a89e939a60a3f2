#pragma once

#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// An Oniguruma pattern (Ruby syntax, as in tokenizer.json) as a PCRE2 pattern that means the same
/// under PCRE2_UTF, PCRE2_UCP and PCRE2_MULTILINE.
///
/// The two agree on most of what tokenizers use. Where they do not, the pattern is rewritten:
///
///   \s \S     without U+180E, which only PCRE2 takes for a space
///   \w \W \b  Oniguruma's words have marks and all connecting punctuation, but not every number
///   \v        one character in Oniguruma, a class in PCRE2
///   \uHHHH    \x{HHHH}
///   {,n}      {0,n}
///   \p{Han}   the script; PCRE2's default are script extensions
///
/// or refused with an InputError: {n}+ and {n}? (not possessive, not lazy), nested classes and &&,
/// POSIX brackets, back references, recursion, conditions, absent groups, \h \R \X \K \G, (?m).
/// Not equal, and accepted: multi-character case folding, and characters newer than Unicode 14.
std::string pcre2_from_oniguruma(std::string_view pattern);

}  // namespace tesserank::io::detail
