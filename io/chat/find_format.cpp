#include "io/chat/find_format.hpp"

#include "io/chat/known_formats.hpp"
#include "io/model_file/document.hpp"
#include "kernels/error.hpp"

#include <optional>

namespace tesserank::io {
namespace {

/// A string, or the one named "default" of a list of {"name", "template"}.
std::optional<std::string> template_in(JsonNode const& document) {
    auto const member = document.find("chat_template");
    if (!member) return std::nullopt;
    if (!member->is_array()) return member->string();
    for (auto const& choice : member->elements()) {
        if (choice.at("name").string() == "default") return choice.at("template").string();
    }
    return std::nullopt;
}

std::optional<std::string> find_jinja(ModelIndex const& index) {
    if (auto const* const text = index.find_document("chat_template")) {
        // Of a file chat_template.json, else the template itself.
        if (!text->starts_with('{') || text->starts_with("{%") || text->starts_with("{{") ||
            text->starts_with("{#")) {
            return *text;
        }
        return template_in(open_document(index, "chat_template")->root());
    }
    auto const config = open_document(index, "tokenizer_config");
    return config ? template_in(config->root()) : std::nullopt;
}

/// A special token of tokenizer_config.json: its text, or an object with it.
std::string token_in(JsonNode const& config, std::string_view name) {
    auto const token = config.find(name);
    if (!token) return {};
    return token->is_object() ? token->at("content").string() : token->string();
}

TemplateTokens template_tokens(ModelIndex const& index) {
    auto const config = open_document(index, "tokenizer_config");
    if (!config) return {};
    return {.bos = token_in(config->root(), "bos_token"),
            .eos = token_in(config->root(), "eos_token")};
}

/// InternVL's "template".
std::optional<std::string> internvl_name(ModelIndex const& index) {
    auto const config = open_document(index, "config");
    if (!config) return std::nullopt;
    auto const type = config->root().find("model_type"), name = config->root().find("template");
    if (!type || type->string() != "internvl_chat" || !name) return std::nullopt;
    return name->string();
}

}  // namespace

std::variant<ChatFormat, std::string> find_chat_format(ModelIndex const& index) {
    try {
        if (auto const name = internvl_name(index)) return internvl_format(*name);
        if (auto const jinja = find_jinja(index)) {
            return recognise_template(*jinja, template_tokens(index));
        }
        return "the model file has no chat template";
    } catch (kernels::InputError const& error) {
        return "how the model writes conversations is not known: " + std::string(error.what());
    }
}

}  // namespace tesserank::io
