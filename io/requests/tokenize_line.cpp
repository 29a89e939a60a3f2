#include "io/requests/tokenize_line.hpp"

#include "io/json_reader.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <limits>
#include <span>
#include <vector>

namespace tesserank::io {
namespace {

/// The id as JSON.
std::string read_id(JsonNode const& line) {
    std::string json = "null";
    auto const id = line.find("id");
    if (!id) return json;
    json.clear();
    if (id->is_string()) {
        append_json(json, std::string_view(id->string()));
    } else if (id->is_number()) {
        append_json(json, id->integer(std::numeric_limits<std::int64_t>::min(),
                                      std::numeric_limits<std::int64_t>::max()));
    } else {
        id->fail_expected("a string or a whole number");
    }
    return json;
}

std::vector<std::int32_t> encode(JsonNode const& line, Tokenizer const& tokenizer,
                                 TokenizeOptions const& options) {
    auto const text = line.find("text"), prompt = line.find("prompt");
    if (!text && !prompt) {
        line.fail("the keys \"text\" and \"prompt\" are missing, expected one of them");
    }
    if (text && prompt) {
        line.fail("both \"text\" and \"prompt\" are given, expected one of them");
    }
    return tokenizer.encode((text ? *text : *prompt).string(), options.special_tokens);
}

std::string decode(JsonNode const& line, Tokenizer const& tokenizer,
                   TokenizeOptions const& options) {
    std::vector<std::int32_t> tokens;
    auto const list = line.at("tokens");
    auto const most_id = static_cast<std::int64_t>(tokenizer.vocabulary_size()) - 1;
    tokens.reserve(list.size());
    // One by one: nodes for all of them would take many times the memory of the line.
    for (std::size_t i = 0; i < list.size(); ++i) {
        tokens.push_back(static_cast<std::int32_t>(list.element(i).integer(0, most_id)));
    }
    return tokenizer.decode(tokens, options.special_text);
}

}  // namespace

TokenizedLine tokenize_line(std::string_view line, std::size_t line_number,
                            Tokenizer const& tokenizer, TokenizeOptions const& options) {
    auto const origin = "line " + std::to_string(line_number);
    std::string id = "null";
    try {
        JsonDocument const document(line, origin);
        id = read_id(document.root());
        JsonObject answer;
        answer.add_json("id", id);
        if (options.direction == TokenizeDirection::encode) {
            auto const tokens = encode(document.root(), tokenizer, options);
            answer.add("tokens", std::span(tokens));
        } else {
            answer.add("text", decode(document.root(), tokenizer, options));
        }
        return {.json = answer.close()};
    } catch (kernels::InputError const& error) {
        std::string message = error.what();
        if (!message.starts_with(origin)) message = origin + ": " + message;
        return {.json = JsonObject().add_json("id", id).add("error", message).close(),
                .failed = true};
    }
}

}  // namespace tesserank::io
