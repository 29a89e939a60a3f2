#pragma once

#include "model/text_stream.hpp"

#include <memory>

namespace tesserank::io {

class Tokenizer;

/// Streams of text over a tokenizer, special tokens skipped. Borrows the tokenizer, as do the
/// streams.
class TokenizerStreamFactory final : public model::TextStreamFactory {
  public:
    explicit TokenizerStreamFactory(Tokenizer const& tokenizer) : tokenizer_(&tokenizer) {}
    std::unique_ptr<model::TextStream> make() const override;

  private:
    Tokenizer const* tokenizer_;
};

}  // namespace tesserank::io
