#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/pattern.hpp"
#include "io/tokenizer/unicode.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io::detail {

/// A text after normalisation.
struct NormalizedText {
    std::string text;
    /// Whether its first character stands for the first one of the whole text that is encoded.
    /// Metaspace asks; a step that removes what was in front makes it false.
    bool at_start = false;
    /// What `text` may grow to.
    std::size_t most_bytes = most_bytes_from(text.size());
};

/// The `normalizer` of a tokenizer.json: steps that rewrite the text before it is cut.
class Normalizer {
  public:
    /// Does nothing.
    Normalizer() = default;
    static Normalizer from_json(JsonNode const& node);

    bool does_nothing() const { return steps_.empty(); }
    void apply(NormalizedText& text, RegexScratch& scratch) const;

  private:
    struct Prepend {
        std::string text;
    };
    struct Replace {
        Pattern pattern;
        std::string content;
    };
    struct Strip {
        bool left, right;
    };
    struct StripAccents {};
    struct Lowercase {};
    struct ByteLevel {};
    using Step =
        std::variant<NormalForm, Prepend, Replace, Strip, StripAccents, Lowercase, ByteLevel>;

    static Step step_from_json(JsonNode const& node);
    static void apply_step(NormalForm form, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(Prepend const& step, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(Replace const& step, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(Strip step, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(StripAccents step, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(Lowercase step, NormalizedText& text, RegexScratch& scratch);
    static void apply_step(ByteLevel step, NormalizedText& text, RegexScratch& scratch);

    std::vector<Step> steps_;
};

}  // namespace tesserank::io::detail
