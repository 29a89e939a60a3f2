#include "io/tokenizer/decoder.hpp"

#include "io/tokenizer/component.hpp"
#include "io/tokenizer/decoder_stages.hpp"

#include <ranges>

namespace tesserank::io::detail {

Decoder Decoder::from_json(JsonNode const& node) {
    Decoder decoder;
    decoder.steps_.clear();
    for (auto const& step : steps_of(node, "decoders")) {
        decoder.steps_.push_back(step_from_json(step));
    }
    return decoder;
}

Decoder::Step Decoder::step_from_json(JsonNode const& node) {
    auto const& type = type_of(node);
    if (type == "Metaspace") return metaspace_from_json(node);
    if (type == "ByteLevel") {
        // Its options concern only encoding.
        node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
        return ByteLevel{};
    }
    if (type == "Replace") {
        node.allow_only({"type", "pattern", "content"});
        return Replace{Pattern::from_json(node.at("pattern")), node.at("content").string()};
    }
    if (type == "Strip") {
        node.allow_only({"type", "content", "start", "stop"});
        auto const count = [&](std::string_view key) {
            return static_cast<std::size_t>(node.at(key).integer(0, INT32_MAX));
        };
        return Strip{.character = one_character(node.at("content")),
                     .start = count("start"),
                     .stop = count("stop")};
    }
    node.allow_only({"type"});
    if (type == "ByteFallback") return ByteFallback{};
    if (type == "Fuse") return Fuse{};
    refuse_type(node, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace or Strip");
}

Decoder::Step Decoder::metaspace_from_json(JsonNode const& node) {
    node.allow_only(
        {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    auto const scheme = node.find("prepend_scheme");
    auto const never = scheme && scheme->string() == "never";
    if (!never && !node.boolean_or("add_prefix_space", true)) {
        node.fail("add_prefix_space is false but prepend_scheme is not never");
    }
    return Metaspace{.replacement = one_character(node.at("replacement")), .drops_first = !never};
}

struct Decoder::StageMaker {
    TextStage& next;
    std::size_t const& bytes_in;
    using Result = std::unique_ptr<TextStage>;

    Result operator()(ByteLevel) const { return std::make_unique<ByteLevelStage>(next); }
    Result operator()(ByteFallback) const { return std::make_unique<ByteFallbackStage>(next); }
    Result operator()(Fuse) const { return std::make_unique<FuseStage>(next); }
    Result operator()(Join) const { return std::make_unique<JoinStage>(next); }
    Result operator()(Replace const& step) const {
        return std::make_unique<ReplaceStage>(next, step.pattern, step.content, bytes_in);
    }
    Result operator()(Strip const& step) const {
        return std::make_unique<StripStage>(next, step.character, step.start, step.stop);
    }
    Result operator()(Metaspace const& step) const {
        using First = MetaspaceStage::First;
        return std::make_unique<MetaspaceStage>(next, step.replacement,
                                                step.drops_first ? First::dropped : First::kept);
    }
};

Decoder::Run::Run(Decoder const& decoder, std::string& out) {
    stages_.push_back(std::make_unique<CollectStage>(out));
    for (auto const& step : std::ranges::reverse_view(decoder.steps_)) {
        stages_.push_back(
            std::visit(StageMaker{.next = *stages_.back(), .bytes_in = *bytes_in_}, step));
    }
}

void Decoder::Run::append(std::string_view token) {
    *bytes_in_ += token.size();
    stages_.back()->text(token);
    stages_.back()->end_of_token();
}

void Decoder::Run::finish() { stages_.back()->finish(); }

}  // namespace tesserank::io::detail
