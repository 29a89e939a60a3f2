#pragma once

#include "io/tokenizer/text_stage.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tesserank::io::detail {

/// Tokens of the byte alphabet to the text of their bytes: one token in the end.
class ByteLevelStage : public WholeTokenStage {
  public:
    using WholeTokenStage::WholeTokenStage;
    void finish() override;

  private:
    void whole_token(std::string const& token) override;
    LossyUtf8 bytes_;
};

/// A row of tokens such as "<0xE2>" to the character that their bytes make. A row that is not valid
/// UTF-8 becomes one U+FFFD per byte, all of it: so nothing of it is certain before it ends.
class ByteFallbackStage : public WholeTokenStage {
  public:
    using WholeTokenStage::WholeTokenStage;
    void finish() override;

  private:
    void whole_token(std::string const& token) override;
    void flush();
    std::string bytes_;
};

/// All tokens to one.
class FuseStage : public PassingStage {
  public:
    using PassingStage::PassingStage;
    void end_of_token() override {}
    void finish() override;
};

/// Every match of a pattern to a string, token by token. `bytes_in` counts what the whole chain was
/// given; the output must stay in proportion to it.
class ReplaceStage : public WholeTokenStage {
  public:
    ReplaceStage(TextStage& next, Pattern const& pattern, std::string_view content,
                 std::size_t const& bytes_in)
        : WholeTokenStage(next), pattern_(pattern), content_(content), bytes_in_(bytes_in) {}

  private:
    void whole_token(std::string const& token) override;
    Pattern const& pattern_;
    std::string_view content_;
    std::size_t const& bytes_in_;
    std::size_t bytes_out_ = 0;
    RegexScratch scratch_;
    std::vector<Span> matches_;
};

/// Cuts up to `start` times and up to `stop` times a character off both ends of every token.
class StripStage : public PassingStage {
  public:
    StripStage(TextStage& next, std::string_view character, std::size_t start, std::size_t stop)
        : PassingStage(next), character_(character), start_(start), stop_(stop) {}
    void text(std::string_view part) override;
    void end_of_token() override;

  private:
    std::string_view character_;
    std::size_t start_, stop_;
    std::size_t cut_ = 0;  // at the start of this token
    bool start_done_ = false;
    std::size_t held_back_ = 0;  // characters that may be the end of this token
};

/// The replacement character of a Metaspace pre-tokenizer to a space, in the first token to nothing
/// unless nothing was prepended.
class MetaspaceStage : public PassingStage {
  public:
    enum class First : std::uint8_t { dropped, kept };
    MetaspaceStage(TextStage& next, std::string_view replacement, First first)
        : PassingStage(next), replacement_(replacement), drop_(first == First::dropped) {}
    void text(std::string_view part) override;
    void end_of_token() override;

  private:
    std::string_view replacement_;
    bool drop_;
};

/// Without a decoder tokens are joined with spaces.
class JoinStage : public WholeTokenStage {
  public:
    using WholeTokenStage::WholeTokenStage;

  private:
    void whole_token(std::string const& token) override;
    bool first_ = true;
};

}  // namespace tesserank::io::detail
