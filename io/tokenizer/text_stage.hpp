#pragma once

#include "io/tokenizer/pattern.hpp"
#include "io/tokenizer/utf8.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// Where tokens go on their way to text: each token as one or several calls of text(), whole
/// characters, followed by end_of_token(); finish() after the last.
class TextStage {
  public:
    virtual ~TextStage() = default;
    virtual void text(std::string_view part) = 0;
    virtual void end_of_token() = 0;
    virtual void finish() = 0;
};

/// The end: collects the text.
class CollectStage : public TextStage {
  public:
    explicit CollectStage(std::string& out) : out_(out) {}
    void text(std::string_view part) override { out_ += part; }
    void end_of_token() override {}
    void finish() override {}

  private:
    std::string& out_;
};

/// A stage that passes its results on. By default it passes everything.
class PassingStage : public TextStage {
  public:
    explicit PassingStage(TextStage& next) : next_(next) {}
    void text(std::string_view part) override { next_.text(part); }
    void end_of_token() override { next_.end_of_token(); }
    void finish() override { next_.finish(); }

  protected:
    TextStage& next() { return next_; }

  private:
    TextStage& next_;
};

/// A stage that needs a token as a whole.
class WholeTokenStage : public PassingStage {
  public:
    using PassingStage::PassingStage;
    void text(std::string_view part) final { token_ += part; }
    void end_of_token() final {
        whole_token(token_);
        token_.clear();
    }

  protected:
    virtual void whole_token(std::string const& token) = 0;

  private:
    std::string token_;
};

}  // namespace tesserank::io::detail
