#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/pattern.hpp"
#include "io/tokenizer/split.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tesserank::io::detail {

/// A text and the pieces that it is cut into; no piece is empty.
struct PieceList {
    std::string text;
    std::vector<Span> pieces;
    /// Whether the first piece starts where the whole text that is encoded starts.
    bool first_at_start = false;
    /// What `text` may grow to.
    std::size_t most_bytes = most_bytes_from(text.size());

    std::string_view operator[](std::size_t i) const {
        return std::string_view(text).substr(pieces[i].begin, pieces[i].end - pieces[i].begin);
    }
};

/// The `pre_tokenizer` of a tokenizer.json: cuts a text into the words that the model sees one by
/// one. ByteLevel and Metaspace are put together from four primitive steps.
class PreTokenizer {
  public:
    /// Does nothing.
    PreTokenizer() = default;
    static PreTokenizer from_json(JsonNode const& node);

    void apply(PieceList& list, RegexScratch& scratch) const;

  private:
    /// Cuts every piece at the matches of a pattern.
    struct Split {
        Pattern pattern;
        SplitBehavior behavior;
        Delimiters delimiters;
    };
    enum class Where : std::uint8_t { every_piece, start_of_text };
    /// Puts `prefix` before a piece that does not start with it.
    struct AddPrefix {
        std::string prefix;
        Where where;
    };
    /// Puts `replacement` for every space.
    struct ReplaceSpaces {
        std::string replacement;
    };
    /// Puts a character of the byte alphabet for every byte.
    struct ToByteCharacters {};
    using Step = std::variant<Split, AddPrefix, ReplaceSpaces, ToByteCharacters>;

    void add_step(JsonNode const& node);
    void add_byte_level(JsonNode const& node);
    void add_metaspace(JsonNode const& node);

    static void apply_step(Split const& step, PieceList& list, RegexScratch& scratch);
    static void apply_step(AddPrefix const& step, PieceList& list, RegexScratch& scratch);
    static void apply_step(ReplaceSpaces const& step, PieceList& list, RegexScratch& scratch);
    static void apply_step(ToByteCharacters step, PieceList& list, RegexScratch& scratch);

    std::vector<Step> steps_;
};

}  // namespace tesserank::io::detail
