#include "io/chat/known_formats.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::string_view internvl2_system =
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, "
    "是一个有用无害的人工智能助手。";
constexpr std::string_view internvl2_5_system =
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模"
    "态大语言模型。";

ChatFormat chatml(std::string const& turn_end) {
    return {.start = "",
            .system = {"<|im_start|>system\n", turn_end},
            .user = {"<|im_start|>user\n", turn_end},
            .assistant = {"<|im_start|>assistant\n", turn_end},
            .answer = "<|im_start|>assistant\n",
            .default_system = std::nullopt,
            .turn_end = "<|im_end|>"};
}

ChatFormat phi3() {
    return {.start = "",
            .system = {"<|system|>\n", "<|end|>"},
            .user = {"<|user|>\n", "<|end|>"},
            .assistant = {"<|assistant|>\n", "<|end|>"},
            .answer = "<|assistant|>\n",
            .default_system = std::nullopt,
            .turn_end = "<|end|>"};
}

ChatFormat internvl_zh() {
    return {.start = "",
            .system = {"", " "},
            .user = {"<human>: ", " "},
            .assistant = {"<bot>: ", "</s>"},
            .answer = "<bot>:",
            .default_system = "",
            .turn_end = "</s>"};
}

ChatFormat llama3(std::string_view jinja, TemplateTokens const& tokens) {
    auto const turn = [](std::string const& role) {
        return ChatFormat::Turn{"<|start_header_id|>" + role + "<|end_header_id|>\n\n",
                                "<|eot_id|>"};
    };
    if (jinja.find("Knowledge Date") != jinja.npos) {
        throw InputError("its chat template writes dates into the system message");
    }
    return {.start = tokens.bos,
            .system = turn("system"),
            .user = turn("user"),
            .assistant = turn("assistant"),
            .answer = turn("assistant").before,
            .default_system = std::nullopt,
            .trim = ChatFormat::Trim::contents,
            .turn_end = "<|eot_id|>"};
}

ChatFormat llama2(std::string_view jinja, TemplateTokens const& tokens) {
    bool const marks_system = jinja.find("<<SYS>>") != jinja.npos;
    return {.start = "",
            .system = marks_system ? ChatFormat::Turn{"<<SYS>>\n", "\n<</SYS>>\n\n"}
                                   : ChatFormat::Turn{"", "\n\n"},
            .user = {tokens.bos + "[INST] ", " [/INST]"},
            .assistant = {" ", " " + tokens.eos},
            .answer = "",
            .default_system = std::nullopt,
            .system_place = ChatFormat::SystemPlace::first_user_turn,
            .trim = marks_system ? ChatFormat::Trim::turns : ChatFormat::Trim::contents,
            .turn_end = tokens.eos};
}

/// The system message that a ChatML template writes by itself: the one that stands whole between
/// the marks of its turn, within one literal of the template.
std::optional<std::string> default_system_of(std::string_view jinja) {
    constexpr std::string_view before = "<|im_start|>system\\n", after = "<|im_end|>";
    for (auto at = jinja.find(before); at != jinja.npos; at = jinja.find(before, at + 1)) {
        auto const begin = at + before.size(), end = jinja.find(after, begin);
        if (end == jinja.npos) break;
        auto const content = jinja.substr(begin, end - begin);
        if (content.empty() || content.find_first_of("'\"\\{") != content.npos) continue;
        return std::string(content);
    }
    return std::nullopt;
}

}  // namespace

ChatFormat internvl_format(std::string_view name) {
    auto const with_system = [](ChatFormat format, std::string_view system) {
        format.default_system = system;
        format.add_special_tokens = true;
        return format;
    };
    if (name == "Hermes-2" || name == "internlm2-chat") {
        return with_system(chatml("<|im_end|>"), internvl2_system);
    }
    if (name == "internvl2_5") return with_system(chatml("<|im_end|>\n"), internvl2_5_system);
    if (name == "phi3-chat") return with_system(phi3(), internvl2_system);
    if (name == "internvl_zh") return with_system(internvl_zh(), "");
    throw InputError("its config.json has the template " + quote_start(name) +
                     ", known are Hermes-2, internlm2-chat, internvl2_5, internvl_zh, phi3-chat");
}

ChatFormat recognise_template(std::string_view jinja, TemplateTokens const& tokens) {
    auto const has = [&](std::string_view text) { return jinja.find(text) != jinja.npos; };
    if (has("<|start_header_id|>") && has("<|eot_id|>")) return llama3(jinja, tokens);
    if (has("<|im_start|>") && has("<|im_end|>")) {
        auto format = chatml("<|im_end|>\n");
        format.default_system = default_system_of(jinja);
        if (has("bos_token")) format.start = tokens.bos;
        return format;
    }
    if (has("bos_token + '[INST] '")) return llama2(jinja, tokens);
    throw InputError("its chat template is none of those known: ChatML, Llama 3, Llama 2");
}

}  // namespace tesserank::io
