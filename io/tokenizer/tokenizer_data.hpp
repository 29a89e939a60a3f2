#pragma once

#include "io/tokenizer/added_vocabulary.hpp"
#include "io/tokenizer/bpe_model.hpp"
#include "io/tokenizer/decoder.hpp"
#include "io/tokenizer/normalizer.hpp"
#include "io/tokenizer/post_processor.hpp"
#include "io/tokenizer/pre_tokenizer.hpp"
#include "io/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace tesserank::io {
namespace detail {

/// What one call of encode needs besides the tokenizer.
struct EncodeScratch {
    BpeScratch bpe;
    RegexScratch regex;
};

/// Lends scratch space to calls from any thread: one each, kept for the next call if not too large.
class ScratchPool {
  public:
    std::unique_ptr<EncodeScratch> take();
    void give_back(std::unique_ptr<EncodeScratch> scratch);

    /// Of one word; each has about 30 bytes of scratch.
    static constexpr std::size_t most_kept_tokens = std::size_t{1} << 16;

  private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<EncodeScratch>> free_;
};

}  // namespace detail

/// A tokenizer.json, taken apart.
struct Tokenizer::Data {
    explicit Data(JsonNode const& root);

    /// A token's text for decoding.
    struct Token {
        std::string_view text;  // lies in model or added
        bool exists = false;
        bool skipped = false;  // when special tokens are
    };

    std::vector<std::int32_t> encode(std::string_view text, detail::EncodeScratch& scratch) const;
    /// nullptr where `id` is not in the vocabulary.
    Token const* find(std::int32_t id) const;

    detail::BpeModel model;
    detail::Normalizer normalizer;
    detail::PreTokenizer pre_tokenizer;
    detail::AddedVocabulary added;
    detail::Decoder decoder;
    std::vector<Token> tokens;  // by id
    std::size_t longest_token_bytes = 0;
    detail::PostProcessor post_processor;
    mutable detail::ScratchPool pool;

  private:
    void collect_tokens();
    void encode_segment(std::string_view segment, bool at_start, detail::EncodeScratch& scratch,
                        std::vector<std::int32_t>& out) const;
};

}  // namespace tesserank::io
