#include "io/chat/known_formats.hpp"

#include "io/json_reader.hpp"
#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace tesserank::io {
namespace {

using Role = ChatMessage::Role;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

JsonDocument read(std::string const& name) {
    std::ostringstream text;
    text << std::ifstream(TESSERANK_SOURCE_DIR "/tests/golden/tokenizers/" + name).rdbuf();
    return {text.str(), name};
}

std::vector<ChatMessage> messages_of(JsonNode const& node) {
    std::vector<ChatMessage> messages;
    for (auto const& message : node.elements()) {
        auto const& role = message.at("role").string();
        messages.push_back({.role = role == "system"
                                        ? Role::system
                                        : (role == "user" ? Role::user : Role::assistant),
                            .content = PicturedText(message.at("content").string())});
    }
    return messages;
}

class GoldenChats : public ::testing::TestWithParam<char const*> {};

TEST_P(GoldenChats, AreRenderedAsTransformersDoes) {
    std::string const name = GetParam();
    auto const config = read(name + "/tokenizer_config.json");
    auto const token = [&](char const* key) {
        auto const found = config.root().find(key);
        return found ? found->string() : "";
    };
    auto const format = recognise_template(config.root().at("chat_template").string(),
                                           {.bos = token("bos_token"), .eos = token("eos_token")});
    auto const cases = read(name + "/cases.json");
    int compared = 0;
    for (auto const& chat : cases.root().at("chat").elements()) {
        // The other half ends without a place for the answer.
        if (!chat.at("add_generation_prompt").boolean()) continue;
        auto const text = render(format, messages_of(chat.at("messages")));
        EXPECT_EQ(text.texts.front(), chat.at("rendered").string());
        EXPECT_EQ(text.pictures(), 0U);
        ++compared;
    }
    EXPECT_EQ(compared, 6);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, GoldenChats,
                         ::testing::Values("llama3", "qwen2", "spm-llama2", "spm-mistral"));

ChatMessage message(Role role, std::string text) {
    return {.role = role, .content = PicturedText(std::move(text))};
}

std::vector<ChatMessage> const two_turns{message(Role::user, "Q"), message(Role::assistant, "A"),
                                         message(Role::user, "R")};

// As conversation.py of InternVL writes them.
TEST(InternvlFormat, Hermes2AndInternlm2HaveNoLineEndBehindATurn) {
    for (auto const* const name : {"Hermes-2", "internlm2-chat"}) {
        auto const format = internvl_format(name);
        EXPECT_EQ(
            render(format, two_turns).texts.front(),
            "<|im_start|>system\n你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文"
            "名叫InternVL, 是一个有用无害的人工智能助手。<|im_end|><|im_start|>user\nQ"
            "<|im_end|><|im_start|>assistant\nA<|im_end|><|im_start|>user\nR<|im_end|>"
            "<|im_start|>assistant\n");
        EXPECT_TRUE(format.add_special_tokens);
        EXPECT_EQ(format.turn_end, "<|im_end|>");
    }
}

TEST(InternvlFormat, Internvl25HasALineEndBehindATurn) {
    EXPECT_EQ(
        render(internvl_format("internvl2_5"), std::vector{message(Role::user, " Q ")})
            .texts.front(),
        "<|im_start|>system\n你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及"
        "多家合作单位联合开发的多模态大语言模型。<|im_end|>\n<|im_start|>user\n Q <|im_end|>\n"
        "<|im_start|>assistant\n");
}

TEST(InternvlFormat, PhiAndVicunaHaveTheirOwnWords) {
    std::vector<ChatMessage> messages = two_turns;
    messages.insert(messages.begin(), message(Role::system, "S"));
    EXPECT_EQ(render(internvl_format("phi3-chat"), messages).texts.front(),
              "<|system|>\nS<|end|><|user|>\nQ<|end|><|assistant|>\nA<|end|><|user|>\nR<|end|>"
              "<|assistant|>\n");
    EXPECT_EQ(render(internvl_format("internvl_zh"), two_turns).texts.front(),
              " <human>: Q <bot>: A</s><human>: R <bot>:");
    EXPECT_EQ(render(internvl_format("internvl_zh"), messages).texts.front(),
              "S <human>: Q <bot>: A</s><human>: R <bot>:");
}

TEST(InternvlFormat, AnotherNameIsRefusedWithTheKnownOnes) {
    EXPECT_THAT(
        [] { internvl_format("vicuna_v1.1"); },
        ThrowsMessage<kernels::InputError>(HasSubstr("\"vicuna_v1.1\", known are Hermes-2")));
}

TEST(RecogniseTemplate, TheSystemMessageOfAChatmlTemplateIsFound) {
    // As Qwen 2.5 writes it: the first literal opens a turn and leaves it open.
    auto const format = recognise_template(
        R"({%- if tools %}{{- '<|im_start|>system\n' }}{%- else %}{{- '<|im_start|>system\n' + )"
        R"(messages[0]['content'] + '<|im_end|>\n' }}{{- '<|im_start|>system\nYou are Qwen.)"
        R"(<|im_end|>\n' }}{%- endif %})",
        {});
    EXPECT_EQ(format.default_system, "You are Qwen.");
    auto const none = recognise_template(
        R"({{ bos_token }}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + )"
        R"('<|im_end|>' + '\n'}})",
        {.bos = "<s>", .eos = "</s>"});
    EXPECT_EQ(none.default_system, std::nullopt);
    EXPECT_EQ(render(none, std::vector{message(Role::user, "Q")}).texts.front(),
              "<s><|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n");
}

TEST(RecogniseTemplate, Llama2MarksTheSystemMessageWhereTheTemplateDoes) {
    auto const format = recognise_template(
        R"('<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' {{ bos_token + '[INST] ' + content }})",
        {.bos = "<s>", .eos = "</s>"});
    EXPECT_EQ(render(format, std::vector{message(Role::system, " S "), message(Role::user, " Q ")})
                  .texts.front(),
              "<s>[INST] <<SYS>>\n S \n<</SYS>>\n\n Q [/INST]");
    EXPECT_EQ(render(format, std::vector{message(Role::user, " Q ")}).texts.front(),
              "<s>[INST] Q [/INST]");
}

TEST(RecogniseTemplate, OthersAreRefused) {
    auto const refusal = [](std::string const& jinja, std::string const& text) {
        EXPECT_THAT([&] { recognise_template(jinja, {}); },
                    ThrowsMessage<kernels::InputError>(HasSubstr(text)));
    };
    refusal("<start_of_turn>{{ role }}", "none of those known: ChatML, Llama 3, Llama 2");
    // Mistral puts bos_token before the whole only.
    refusal("{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}", "none of those");
    refusal("<|start_header_id|> Cutting Knowledge Date: December 2023 <|eot_id|>", "dates");
}

}  // namespace
}  // namespace tesserank::io
