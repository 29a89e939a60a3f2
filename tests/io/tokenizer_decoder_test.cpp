#include "io/tokenizer/decoder.hpp"
#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io::detail {
namespace {

using Tokens = std::vector<std::string>;

/// What each token made certain, then what was held back.
Tokens grown(std::string const& json, Tokens const& tokens) {
    JsonDocument const document(json, "test");
    auto const decoder = Decoder::from_json(document.root());
    std::string text;
    Decoder::Run run(decoder, text);
    Tokens parts;
    for (auto const& token : tokens) {
        run.append(token);
        parts.push_back(std::exchange(text, {}));
    }
    run.finish();
    parts.push_back(text);
    return parts;
}

std::string decoded(std::string const& json, Tokens const& tokens) {
    std::string text;
    for (auto const& part : grown(json, tokens)) text += part;
    return text;
}

constexpr auto byte_level = R"({"type": "ByteLevel"})";
constexpr auto byte_fallback = R"({"type": "ByteFallback"})";
constexpr auto llama = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
    {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

TEST(Decoder, JoinsTokensWithSpacesWithoutADecoder) {
    std::string text;
    Decoder const none;
    Decoder::Run run(none, text);
    for (auto const* const token : {"a", "", "b"}) run.append(token);
    run.finish();
    EXPECT_EQ(text, "a  b");
}

TEST(Decoder, TurnsByteCharactersToText) {
    EXPECT_EQ(decoded(byte_level, {"Ġa", "Ã", "©", "<| x |>"}), " aé<| x |>");
    EXPECT_EQ(decoded(byte_level, {"Ã", "a"}), "\uFFFDa");
}

TEST(Decoder, HoldsBackHalfACharacter) {
    EXPECT_EQ(grown(byte_level, {"a", "Ã", "©", "Ã"}), (Tokens{"a", "", "é", "", "\uFFFD"}));
}

TEST(Decoder, TakesARowOfByteTokensAsAWhole) {
    EXPECT_EQ(grown(byte_fallback, {"<0xC3>", "<0xA9>", "x"}), (Tokens{"", "", "éx", ""}));
    EXPECT_EQ(decoded(byte_fallback, {"<0x61>", "<0xC3>", "x"}), "\uFFFD\uFFFDx")
        << "one wrong byte spoils the row";
    EXPECT_EQ(decoded(byte_fallback, {"<0xC3>"}), "\uFFFD");
    EXPECT_EQ(decoded(byte_fallback, {"<0x4g>", "<0x041>"}), "<0x4g><0x041>");
}

TEST(Decoder, StripsTheFirstSpaceOfTheTextOnly) {
    EXPECT_EQ(grown(llama, {"▁a", "▁b", "▁"}), (Tokens{"a", " b", " ", ""}));
    EXPECT_EQ(decoded(llama, {"▁", "▁a"}), " a");
    EXPECT_EQ(decoded(llama, {"<0x20>", "a"}), "a");
}

TEST(Decoder, StripsBothEndsOfEveryToken) {
    auto const strip = R"({"type": "Strip", "content": "x", "start": 1, "stop": 2})";
    EXPECT_EQ(decoded(strip, {"xxaxbxxx", "xa"}), "xaxbxa");
    EXPECT_EQ(decoded(strip, {"x", "xx", "xxxxx"}), "xx");
}

TEST(Decoder, TurnsMetaspacesToSpacesButForTheFirstToken) {
    auto const metaspace = [](std::string const& scheme) {
        return R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" + scheme + "\"}";
    };
    EXPECT_EQ(decoded(metaspace("always"), {"▁a▁", "▁b"}), "a b");
    EXPECT_EQ(decoded(metaspace("never"), {"▁a▁", "▁b"}), " a  b");
}

TEST(Decoder, ReplacesWithinATokenOrAfterFuseAcrossThem) {
    std::string const replace =
        R"({"type": "Replace", "pattern": {"String": "ab"}, "content": "-"})";
    EXPECT_EQ(decoded(replace, {"a", "bab"}), "ab-");
    EXPECT_EQ(decoded(R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, )" + replace + "]}",
                      {"a", "bab"}),
              "--");
}

TEST(Decoder, RefusesWhatItDoesNotKnow) {
    for (auto const* const json :
         {R"({"type": "WordPiece"})", R"({"type": "BPEDecoder", "suffix": "</w>"})",
          R"({"type": "Strip", "content": "ab", "start": 1, "stop": 0})",
          R"({"type": "Strip", "content": "a", "start": -1, "stop": 0})",
          R"({"type": "Fuse", "more": 1})"}) {
        EXPECT_THROW(decoded(json, {}), kernels::InputError) << json;
    }
}

}  // namespace
}  // namespace tesserank::io::detail
