#include "io/chat/find_format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;

std::variant<ChatFormat, std::string> find(
    std::map<std::string, std::string, std::less<>> documents) {
    ModelIndex index;
    index.path = "m.h5";
    index.documents = std::move(documents);
    return find_chat_format(index);
}

std::string why_not(std::map<std::string, std::string, std::less<>> documents) {
    auto const found = find(std::move(documents));
    auto const* const why = std::get_if<std::string>(&found);
    return why == nullptr ? "a format was found" : *why;
}

std::string const llama3 = "{{ bos_token }}<|start_header_id|><|eot_id|>";

TEST(FindFormat, TheTemplateMayStandInThreePlaces) {
    std::string const config = R"({"bos_token": {"content": "<b>"}, "eos_token": null})";
    for (auto const& documents : std::vector<std::map<std::string, std::string, std::less<>>>{
             {{"chat_template", llama3}, {"tokenizer_config", config}},
             {{"chat_template", "{\"chat_template\": \"" + llama3 + "\"}"},
              {"tokenizer_config", config}},
             {{"tokenizer_config",
               R"({"bos_token": "<b>", "chat_template": ")" + llama3 + R"("})"}},
             {{"tokenizer_config", R"({"bos_token": "<b>", "chat_template": [{"name": "rag",
                 "template": "?"}, {"name": "default", "template": ")" +
                                       llama3 + R"("}]})"}}}) {
        auto const found = find(documents);
        auto const* const format = std::get_if<ChatFormat>(&found);
        ASSERT_NE(format, nullptr) << std::get<std::string>(found);
        EXPECT_EQ(format->start, "<b>");
        EXPECT_EQ(format->turn_end, "<|eot_id|>");
        EXPECT_FALSE(format->add_special_tokens);
    }
}

TEST(FindFormat, InternvlsOwnNameCountsFirst) {
    auto const found =
        find({{"config", R"({"model_type": "internvl_chat", "template": "internvl2_5"})"},
              {"chat_template", llama3}});
    EXPECT_EQ(std::get<ChatFormat>(found).turn_end, "<|im_end|>");
    // Elsewhere a template in config.json is something else.
    EXPECT_EQ(std::get<ChatFormat>(find({{"config", R"({"model_type": "x", "template": "y"})"},
                                         {"chat_template", llama3}}))
                  .turn_end,
              "<|eot_id|>");
}

TEST(FindFormat, SaysWhyThereIsNone) {
    EXPECT_EQ(why_not({}), "the model file has no chat template");
    EXPECT_EQ(why_not({{"tokenizer_config", "{}"}}), "the model file has no chat template");
    EXPECT_THAT(why_not({{"chat_template", "{{ messages }}"}}), HasSubstr("none of those known"));
    EXPECT_THAT(why_not({{"config", R"({"model_type": "internvl_chat", "template": "x"})"}}),
                HasSubstr("the template \"x\", known are"));
    EXPECT_THAT(why_not({{"tokenizer_config", "{"}}), HasSubstr("m.h5: /tokenizer_config"));
}

}  // namespace
}  // namespace tesserank::io
