#include "io/requests/prompt.hpp"

#include "io/chat/known_formats.hpp"
#include "io/json_reader.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {
namespace {

using model::Placeholders;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

using Tokens = std::vector<std::int32_t>;
using Images = std::vector<std::string>;

std::string const golden = TESSERANK_SOURCE_DIR "/tests/golden/models/internvl-orig-qwen2/";
// Of that model: <img>, </img> and <IMG_CONTEXT>; four features for a tile.
constexpr std::int32_t begin = 895, end = 896, feature = 897;

std::string read_file(std::string const& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

Tokenizer const& tokenizer() {
    static auto const loaded =
        Tokenizer::from_json(read_file(golden + "tokenizer.json"), "tokenizer.json");
    return loaded;
}

RequestLimits const limits{.vocabulary = 900, .max_length = 64, .sampling = {}};

PromptTools tools() {
    PicturePrompts pictures{.options = {}, .features_per_tile = 4, .placeholder = feature};
    pictures.options.folder = golden + "images";
    pictures.options.tiling.tile = 56;
    pictures.options.tiling.most_tiles = 4;
    return {.tokenizer = &tokenizer(),
            .chat = internvl_format("internvl2_5"),
            .pictures = std::move(pictures)};
}

Prompt make(PromptInput input, Images const& images = {}, PromptTools const& with = tools()) {
    return make_prompt(std::move(input), images, limits, with);
}

void refuses(PromptInput const& input, Images const& images, std::string const& text,
             PromptTools const& with = tools()) {
    EXPECT_THAT([&] { make(input, images, with); },
                ThrowsMessage<kernels::InputError>(HasSubstr(text)));
}

Tokens encode(std::string const& text) {
    return tokenizer().encode(text, Tokenizer::SpecialTokens::add);
}

Tokens joined(std::vector<Tokens> const& parts) {
    Tokens all;
    for (auto const& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

TEST(MakePrompt, GoldenTextsBecomeGoldenTokens) {
    std::ifstream lines(golden + "expected/prompts.jsonl");
    std::size_t compared = 0;
    for (std::string line; std::getline(lines, line); ++compared) {
        JsonDocument const prompt(line, "prompts.jsonl");
        Images images;
        for (auto const& image : prompt.root().at("images").elements()) {
            images.push_back("image" + std::to_string(image.integer(0, 9)) + ".png");
        }
        // The text has the placeholders in it; a user writes a mark.
        std::string text = prompt.root().at("text").string();
        for (auto at = text.find("<img>"); at != text.npos; at = text.find("<img>")) {
            text.replace(at, text.find("</img>", at) + 6 - at, picture_mark);
        }
        Tokens expected;
        for (auto const& token : prompt.root().at("prompt_tokens").elements()) {
            expected.push_back(static_cast<std::int32_t>(token.integer(0, 900)));
        }
        RequestLimits const roomy{.vocabulary = 900, .max_length = 512, .sampling = {}};
        auto const by_text = make_prompt(text, images, roomy, tools());
        EXPECT_EQ(by_text.tokens, expected);
        auto const by_tokens = make_prompt(expected, images, roomy, tools());
        EXPECT_EQ(by_tokens.pictures.places, by_text.pictures.places);
        EXPECT_EQ(by_tokens.pictures.pictures.size(), images.size());
    }
    EXPECT_EQ(compared, 5U);
}

TEST(MakePrompt, PicturesWithoutMarksComeFirstWithALineEach) {
    auto const prompt = make("Hello", {"image2.png", "image0.png"});
    EXPECT_EQ(prompt.tokens, joined({{begin},
                                     Tokens(4, feature),
                                     {end},
                                     encode("\n"),
                                     {begin},
                                     Tokens(12, feature),
                                     {end},
                                     encode("\nHello")}));
    EXPECT_THAT(prompt.pictures.places, ElementsAre(Placeholders{1, 4}, Placeholders{8, 12}));
    ASSERT_EQ(prompt.pictures.pictures.size(), 2U);
    EXPECT_EQ(prompt.pictures.pictures[0].tiles, 1U);
    EXPECT_EQ(prompt.pictures.pictures[1].tiles, 3U);
    EXPECT_EQ(prompt.pictures.pictures[1].rgb.size(), 3U * 56 * 56 * 3);
}

TEST(MakePrompt, ConversationsUseTheModelsFormat) {
    ChatMessage message;
    message.content.add_picture();
    message.content.add("\nq");
    auto const prompt = make(std::vector{message}, {"image2.png"});
    auto const format = internvl_format("internvl2_5");
    EXPECT_EQ(prompt.tokens, joined({encode("<|im_start|>system\n" + *format.default_system +
                                            "<|im_end|>\n<|im_start|>user\n"),
                                     {begin},
                                     Tokens(4, feature),
                                     {end},
                                     encode("\nq<|im_end|>\n<|im_start|>assistant\n")}));
    EXPECT_EQ(prompt.turn_end, tokenizer().id_of("<|im_end|>"));
    EXPECT_EQ(make("text").turn_end, std::nullopt);

    auto without = tools();
    without.chat = "the model file has no chat template";
    refuses(std::vector{message}, {"image2.png"},
            R"(messages: the model file has no chat template; give "prompt" or "tokens")", without);
}

TEST(MakePrompt, AJinjaTemplateWritesAllSpecialTokensItself) {
    std::string const folder = TESSERANK_SOURCE_DIR "/tests/golden/tokenizers/llama3/";
    auto const llama3 = Tokenizer::from_json(read_file(folder + "tokenizer.json"), "llama3");
    JsonDocument const config(read_file(folder + "tokenizer_config.json"), "config");
    JsonDocument const cases(read_file(folder + "cases.json"), "cases");
    PromptTools const with{
        .tokenizer = &llama3,
        .chat = recognise_template(config.root().at("chat_template").string(),
                                   {.bos = config.root().at("bos_token").string(), .eos = ""})};
    auto const chat = cases.root().at("chat").element(0);
    ASSERT_TRUE(chat.at("add_generation_prompt").boolean());
    ChatMessage message;
    message.content.add(chat.at("messages").element(0).at("content").string());
    Tokens expected;
    for (auto const& id : chat.at("ids").elements()) {
        expected.push_back(static_cast<std::int32_t>(id.integer(0, 800)));
    }
    EXPECT_EQ(make(std::vector{message}, {}, with).tokens, expected);
}

TEST(MakePrompt, MarksMustBeAsManyAsImages) {
    refuses("a<image>b", {"image2.png", "image2.png"}, "found 1 marks <image>, expected one for");
    // Without images a mark is nothing but text.
    EXPECT_EQ(make("a<image>b").tokens, encode("a<image>b"));
}

TEST(MakePrompt, PlaceholdersInATextAreRefused) {
    refuses("a<IMG_CONTEXT>b", {}, "prompt: contains the text \"<IMG_CONTEXT>\"");
    refuses("<image><IMG_CONTEXT>", {"image2.png"}, "write <image> where a picture goes");
    ChatMessage message;
    message.content.add("<IMG_CONTEXT>");
    refuses(std::vector{message}, {}, "messages: contains the text \"<IMG_CONTEXT>\"");
    // A token that is not taken for one in a text cannot mark a place there.
    auto odd = tools();
    std::get<PicturePrompts>(odd.pictures).placeholder = encode(" the").front();
    refuses("a", {"image2.png"}, "does not take the text", odd);
}

TEST(MakePrompt, TokensMustHaveAPlaceForEachPicture) {
    Tokens const one = joined({{1}, Tokens(4, feature), {2}});
    auto const prompt = make(one, {"image2.png"});
    EXPECT_EQ(prompt.tokens, one);
    EXPECT_THAT(prompt.pictures.places, ElementsAre(Placeholders{1, 4}));
    // Pictures may stand side by side.
    auto const both = make(Tokens(16, feature), {"image2.png", "image0.png"});
    EXPECT_THAT(both.pictures.places, ElementsAre(Placeholders{0, 16}));

    refuses(one, {}, "tokens[1]: found 4 placeholders of pictures, expected none");
    refuses(one, {"image0.png"},
            "tokens[1]: found 4 placeholders of pictures, expected 12 for images[0], which has 3");
    refuses(Tokens(6, feature), {"image2.png"}, "tokens[4]: found 2 placeholders");
    refuses(Tokens{1, 2}, {"image2.png"}, "no placeholders are left for images[0], expected 4");
    // The right number in all, but a picture torn apart.
    refuses(joined({Tokens(12, feature), {1}, Tokens(4, feature)}), {"image2.png", "image0.png"},
            "tokens[4]: found 8 placeholders of pictures, expected 12 for images[1]");
}

TEST(MakePrompt, BadPicturesAreNamed) {
    refuses("a", {"image2.png", "none.png"}, "images[1] (\"none.png\"): ");
    refuses("a", {"data:image/png;base64,AAAA"}, "images[0] (a data URL): neither JPEG");
}

TEST(MakePrompt, PicturesBeyondTheContextAreNotDecoded) {
    Images const many(9, "image0.png");
    refuses("a", many,
            "images: the first 6 of 9 take 72 tokens, expected fewer than the context's 64");
}

TEST(MakePrompt, ModelsWithoutPicturesSaySo) {
    PromptTools const text_only{.tokenizer = &tokenizer()};
    refuses("a", {"image2.png"}, "images: the model takes no pictures", text_only);
    EXPECT_EQ(make("<IMG_CONTEXT>", {}, text_only).tokens, (Tokens{feature}));
    EXPECT_EQ(make(Tokens{feature}, {}, text_only).tokens, (Tokens{feature}));
    auto unknown = tools();
    std::get<PicturePrompts>(unknown.pictures).placeholder = std::nullopt;
    refuses(Tokens{1}, {"image2.png"}, "give its id by --image-token", unknown);
    EXPECT_THAT(make(Tokens{feature}, {}, unknown).pictures.places, IsEmpty());
}

}  // namespace
}  // namespace tesserank::io
