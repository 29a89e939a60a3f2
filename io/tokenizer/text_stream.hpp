#pragma once

#include "io/tokenizer/tokenizer.hpp"
#include "model/text_stream.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace tesserank::io {

/// Decodes a sequence token by token. What append and finish return, put together, is what
/// Tokenizer::decode makes of all tokens; the cost of a token does not grow with the sequence.
///
/// An id that is not in the vocabulary gives no text: a model's output may be wider than its
/// tokenizer's vocabulary, and one such token must not end a whole batch.
class TextStream final : public model::TextStream {
  public:
    TextStream(Tokenizer const& tokenizer, Tokenizer::SpecialText special);
    ~TextStream() override;
    TextStream(TextStream&&) noexcept;
    TextStream& operator=(TextStream&&) noexcept;

    std::string append(std::int32_t id) override;
    std::string finish() override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Makes streams that skip special tokens.
class TextStreamFactory final : public model::TextStreamFactory {
  public:
    explicit TextStreamFactory(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
    std::unique_ptr<model::TextStream> make() const override;

  private:
    Tokenizer tokenizer_;
};

}  // namespace tesserank::io
