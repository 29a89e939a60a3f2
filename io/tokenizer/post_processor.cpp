#include "io/tokenizer/post_processor.hpp"

#include "io/tokenizer/component.hpp"

#include <algorithm>

namespace tesserank::io::detail {

PostProcessor PostProcessor::from_json(JsonNode const& node, std::size_t vocabulary_size) {
    PostProcessor processor;
    auto templates = 0;
    for (auto const& step : steps_of(node, "processors")) {
        auto const& type = type_of(step);
        if (type == "TemplateProcessing") {
            if (++templates > 1) step.fail("a second TemplateProcessing is not supported");
            processor.read_template(step, vocabulary_size);
        } else if (type == "ByteLevel") {
            // Concerns offsets into the text, which nothing here reports.
            step.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
        } else {
            refuse_type(step, "TemplateProcessing or ByteLevel");
        }
    }
    return processor;
}

void PostProcessor::read_template(JsonNode const& node, std::size_t vocabulary_size) {
    node.allow_only({"type", "single", "pair", "special_tokens"});  // pairs of texts: not offered
    pieces_.clear();
    for (auto const& piece : node.at("single").elements()) {
        pieces_.push_back(piece_from_json(piece, node.at("special_tokens"), vocabulary_size));
    }
}

PostProcessor::Piece PostProcessor::piece_from_json(JsonNode const& node,
                                                    JsonNode const& special_tokens,
                                                    std::size_t vocabulary_size) {
    node.allow_only({"Sequence", "SpecialToken"});
    if (auto const sequence = node.find("Sequence")) {
        sequence->allow_only({"id", "type_id"});
        auto const id = sequence->at("id");
        if (id.string() != "A") id.fail_expected("A: there is one text");
        return {.is_text = true, .added = {}};
    }
    auto const special = node.at("SpecialToken");
    special.allow_only({"id", "type_id"});
    auto const definition = special_tokens.at(special.at("id").string());
    definition.allow_only({"id", "ids", "tokens"});
    Piece piece{.is_text = false, .added = {}};
    auto const most = static_cast<std::int64_t>(vocabulary_size) - 1;
    for (auto const& id : definition.at("ids").elements()) {
        piece.added.push_back(static_cast<std::int32_t>(id.integer(0, most)));
    }
    return piece;
}

std::vector<std::int32_t> PostProcessor::with_special(
    std::vector<std::int32_t> const& tokens) const {
    std::vector<std::int32_t> all;
    for (auto const& piece : pieces_) {
        auto const& part = piece.is_text ? tokens : piece.added;
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

std::vector<std::int32_t> PostProcessor::without_special(std::vector<std::int32_t> tokens) const {
    auto const copies = std::count_if(pieces_.begin(), pieces_.end(),
                                      [](auto const& piece) { return piece.is_text; });
    if (copies == 1) return tokens;
    std::vector<std::int32_t> all;
    for (auto i = copies; i > 0; --i) all.insert(all.end(), tokens.begin(), tokens.end());
    return all;
}

}  // namespace tesserank::io::detail
