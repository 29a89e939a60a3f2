#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

class TextStream;

/// Text to tokens and back, as a Hugging Face tokenizer.json describes it: byte-level BPE (GPT-2,
/// Llama 3, Qwen) and SentencePiece-style BPE (Llama 2, Mistral).
///
/// The results are those of the library `tokenizers` 0.23. What a file says and this class does not
/// know is refused, never ignored, with two exceptions: `truncation` and `padding`, which are
/// settings of one call rather than of the vocabulary, and templates for pairs of texts. How
/// regular expressions differ: tokenizer/regex_syntax.hpp.
///
/// Encoding takes n log n time for n bytes, whatever the text. All methods may be called by several
/// threads at once. Copies share their data.
class Tokenizer {
  public:
    /// Whether the tokens that the file puts around every text (bos, eos) are added.
    enum class SpecialTokens : std::uint8_t { add, omit };
    /// Whether special tokens appear in decoded text.
    enum class SpecialText : std::uint8_t { keep, skip };

    /// Errors: InputError naming `origin`, the place in the file, what was found and what is
    /// supported.
    static Tokenizer from_json(std::string_view json, std::string_view origin);

    /// The tokens of `text`. Special tokens that stand in the text as text are recognised.
    /// Errors: InputError if the text is not UTF-8, naming the first wrong byte.
    std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special) const;

    /// The text of `ids`, always valid UTF-8: bytes that are not become U+FFFD. Ids without a
    /// token, below vocabulary_size(), give nothing. Errors: InputError for other ids.
    std::string decode(std::span<std::int32_t const> ids, SpecialText special) const;

    /// The largest id + 1.
    std::size_t vocabulary_size() const;

    /// Of a token as it stands in the vocabulary.
    std::size_t longest_token_bytes() const;

    std::optional<std::int32_t> id_of(std::string_view token) const;

    /// The token as it stands in the vocabulary: "Ġthe" rather than " the". Empty for an id without
    /// one. Errors: InputError for an id that is not in the vocabulary.
    std::string token(std::int32_t id) const;

  private:
    friend class TextStream;
    struct Data;
    explicit Tokenizer(std::shared_ptr<Data const> data);

    std::shared_ptr<Data const> data_;
};

}  // namespace tesserank::io
