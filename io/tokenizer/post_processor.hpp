#pragma once

#include "io/json_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::io::detail {

/// The `post_processor` of a tokenizer.json: the tokens put before and after a text, such as the
/// beginning-of-text token.
class PostProcessor {
  public:
    /// Adds nothing.
    PostProcessor() = default;
    /// Errors: InputError for an id that is not below `vocabulary_size`.
    static PostProcessor from_json(JsonNode const& node, std::size_t vocabulary_size);

    /// `tokens` of a text, with what belongs around them.
    std::vector<std::int32_t> with_special(std::vector<std::int32_t> const& tokens) const;
    /// The same with only the text's own tokens. A template may hold the text not once.
    std::vector<std::int32_t> without_special(std::vector<std::int32_t> tokens) const;

  private:
    /// The text, or tokens that are added.
    struct Piece {
        bool is_text;
        std::vector<std::int32_t> added;
    };

    void read_template(JsonNode const& node, std::size_t vocabulary_size);
    static Piece piece_from_json(JsonNode const& node, JsonNode const& special_tokens,
                                 std::size_t vocabulary_size);

    std::vector<Piece> pieces_{{.is_text = true, .added = {}}};
};

}  // namespace tesserank::io::detail
