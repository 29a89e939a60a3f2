#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace tesserank::io::detail {

/// Bytes [begin, end) of a text.
struct Span {
    std::size_t begin, end;
    bool operator==(Span const&) const = default;
};

/// What one thread needs to match: reused from text to text, for any Regex.
class RegexScratch {
  public:
    RegexScratch();
    ~RegexScratch();
    RegexScratch(RegexScratch&&) noexcept;
    RegexScratch& operator=(RegexScratch&&) noexcept;

    struct Handles;
    Handles& handles() { return *handles_; }

  private:
    std::unique_ptr<Handles> handles_;
};

/// A compiled regular expression of a tokenizer.json. Both the pattern and the text are outside
/// input: matching that needs too much memory or time ends with an InputError.
class Regex {
  public:
    /// `pattern` in Oniguruma's syntax. Errors: InputError if it does not compile or means
    /// something else in PCRE2 (regex_syntax.hpp).
    explicit Regex(std::string_view pattern);

    /// Appends every match in `text`, which must be valid UTF-8, from left to right, to `matches`.
    /// An empty match right after another match is left out.
    void find_all(std::string_view text, RegexScratch& scratch, std::vector<Span>& matches) const;

  private:
    struct Close {
        void operator()(pcre2_real_code_8* code) const noexcept;
    };

    enum class Found : std::uint8_t { match, nothing };
    Found find_from(std::string_view text, std::size_t start, RegexScratch& scratch,
                    Span& match) const;

    std::string pattern_;
    std::unique_ptr<pcre2_real_code_8, Close> code_;
    bool compiled_to_machine_code_ = false;
};

}  // namespace tesserank::io::detail
