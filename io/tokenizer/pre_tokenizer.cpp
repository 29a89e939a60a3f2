#include "io/tokenizer/pre_tokenizer.hpp"

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/component.hpp"

namespace tesserank::io::detail {
namespace {

/// GPT-2's own pattern, which ByteLevel brings along.
constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Rewrites the pieces one by one: append(piece, index, text) appends what `piece` becomes.
template <class Append>
void rewrite(PieceList& list, Append append) {
    std::string text;
    text.reserve(list.text.size() + list.text.size() / 4);
    for (std::size_t i = 0; i < list.pieces.size(); ++i) {
        auto const begin = text.size();
        append(list[i], i, text);
        list.pieces[i] = {begin, text.size()};
    }
    check_growth(text.size(), list.most_bytes);
    list.text = std::move(text);
}

}  // namespace

PreTokenizer PreTokenizer::from_json(JsonNode const& node) {
    PreTokenizer pre_tokenizer;
    for (auto const& step : steps_of(node, "pretokenizers")) pre_tokenizer.add_step(step);
    return pre_tokenizer;
}

void PreTokenizer::add_step(JsonNode const& node) {
    auto const& type = type_of(node);
    if (type == "ByteLevel") return add_byte_level(node);
    if (type == "Metaspace") return add_metaspace(node);
    if (type == "Split") {
        node.allow_only({"type", "pattern", "behavior", "invert"});
        steps_.emplace_back(Split{
            .pattern = Pattern::from_json(node.at("pattern")),
            .behavior = split_behavior_from_json(node.at("behavior")),
            .delimiters = node.at("invert").boolean() ? Delimiters::gaps : Delimiters::matches});
    } else if (type == "Digits") {
        node.allow_only({"type", "individual_digits"});
        auto const one_by_one = node.at("individual_digits").boolean();
        steps_.emplace_back(
            Split{.pattern = Pattern::numeric_character(),
                  .behavior = one_by_one ? SplitBehavior::isolated : SplitBehavior::contiguous,
                  .delimiters = Delimiters::matches});
    } else {
        refuse_type(node, "Split, Digits, ByteLevel or Metaspace");
    }
}

void PreTokenizer::add_byte_level(JsonNode const& node) {
    // trim_offsets concerns offsets into the text, which nothing here reports.
    node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    node.boolean_or("trim_offsets", true);
    if (node.at("add_prefix_space").boolean()) {
        steps_.emplace_back(AddPrefix{.prefix = " ", .where = Where::every_piece});
    }
    if (node.boolean_or("use_regex", true)) {
        steps_.emplace_back(Split{.pattern = Pattern::regex(gpt2_pattern),
                                  .behavior = SplitBehavior::isolated,
                                  .delimiters = Delimiters::matches});
    }
    steps_.emplace_back(ToByteCharacters{});
}

void PreTokenizer::add_metaspace(JsonNode const& node) {
    node.allow_only(
        {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    auto const& replacement = one_character(node.at("replacement"));
    auto const scheme_node = node.find("prepend_scheme");
    auto const scheme = scheme_node ? scheme_node->string() : std::string("always");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
        scheme_node->fail_expected("always, first or never");
    }
    // The field of older files; prepend_scheme holds the truth.
    if (!node.boolean_or("add_prefix_space", true) && scheme != "never") {
        node.fail("add_prefix_space is false but prepend_scheme is " + scheme);
    }
    steps_.emplace_back(ReplaceSpaces{replacement});
    if (scheme != "never") {
        auto const where = scheme == "first" ? Where::start_of_text : Where::every_piece;
        steps_.emplace_back(AddPrefix{.prefix = replacement, .where = where});
    }
    if (node.boolean_or("split", true)) {
        steps_.emplace_back(Split{.pattern = Pattern::literal(replacement),
                                  .behavior = SplitBehavior::merged_with_next,
                                  .delimiters = Delimiters::matches});
    }
}

void PreTokenizer::apply(PieceList& list, RegexScratch& scratch) const {
    for (auto const& step : steps_) {
        std::visit([&](auto const& known) { apply_step(known, list, scratch); }, step);
    }
}

void PreTokenizer::apply_step(Split const& step, PieceList& list, RegexScratch& scratch) {
    std::vector<Span> pieces;
    std::vector<Span> matches;
    pieces.reserve(list.pieces.size());
    for (std::size_t i = 0; i < list.pieces.size(); ++i) {
        auto const whole = list.pieces[i];
        matches.clear();
        step.pattern.find_all(list[i], scratch, matches);
        for (auto& match : matches) {
            match = {match.begin + whole.begin, match.end + whole.begin};
        }
        cut(whole, matches, step.behavior, step.delimiters, pieces);
    }
    auto const starts_later =
        pieces.empty() || list.pieces.empty() || pieces[0].begin != list.pieces[0].begin;
    list.first_at_start = list.first_at_start && !starts_later;
    list.pieces = std::move(pieces);
}

void PreTokenizer::apply_step(AddPrefix const& step, PieceList& list, RegexScratch&) {
    rewrite(list, [&](std::string_view piece, std::size_t index, std::string& text) {
        auto const wanted = step.where == Where::every_piece || (index == 0 && list.first_at_start);
        if (wanted && !piece.starts_with(step.prefix)) text += step.prefix;
        text += piece;
    });
}

void PreTokenizer::apply_step(ReplaceSpaces const& step, PieceList& list, RegexScratch&) {
    rewrite(list, [&](std::string_view piece, std::size_t, std::string& text) {
        for (char const byte : piece) {
            if (byte == ' ') {
                text += step.replacement;
            } else {
                text += byte;
            }
        }
    });
}

void PreTokenizer::apply_step(ToByteCharacters, PieceList& list, RegexScratch&) {
    rewrite(list, [](std::string_view piece, std::size_t, std::string& text) {
        append_byte_characters(piece, text);
    });
}

}  // namespace tesserank::io::detail
