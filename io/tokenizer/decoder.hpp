#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/pattern.hpp"
#include "io/tokenizer/text_stage.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io::detail {

/// The `decoder` of a tokenizer.json: tokens back to text.
///
/// Every step is a stage that takes tokens one by one and passes on what is certain. So a text can
/// be decoded while it grows, at a cost per token that does not depend on its length, and decoding
/// all at once is the same thing.
class Decoder {
  public:
    /// Joins tokens with spaces.
    Decoder() = default;
    static Decoder from_json(JsonNode const& node);

    /// The decoding of one text. Valid as long as its Decoder and the text that it appends to.
    class Run {
      public:
        Run(Decoder const& decoder, std::string& out);
        void append(std::string_view token);
        void finish();

      private:
        std::unique_ptr<std::size_t> bytes_in_ = std::make_unique<std::size_t>(0);
        std::vector<std::unique_ptr<TextStage>> stages_;  // last one first
    };

  private:
    struct ByteLevel {};
    struct ByteFallback {};
    struct Fuse {};
    struct Replace {
        Pattern pattern;
        std::string content;
    };
    struct Strip {
        std::string character;
        std::size_t start, stop;
    };
    struct Metaspace {
        std::string replacement;
        bool drops_first;
    };
    struct Join {};
    using Step = std::variant<Join, ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace>;
    struct StageMaker;

    static Step step_from_json(JsonNode const& node);
    static Step metaspace_from_json(JsonNode const& node);

    std::vector<Step> steps_ = std::vector<Step>(1);
};

}  // namespace tesserank::io::detail
