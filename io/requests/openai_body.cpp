#include "io/requests/openai_body.hpp"

#include "io/requests/chat_messages.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/request_fields.hpp"
#include "io/requests/request_keys.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tesserank::io::detail {
namespace {

using nlohmann::json;

/// What changes no answer of ours.
auto constexpr ignored =
    std::to_array<std::string_view>({"model", "user", "metadata", "store", "service_tier",
                                     "safety_identifier", "prompt_cache_key"});

/// What is taken under the same name as in a line of ours.
auto constexpr same_name = std::to_array<Key>({Key::temperature, Key::top_k, Key::top_p, Key::min_p,
                                               Key::repetition_penalty, Key::seed, Key::stop,
                                               Key::stop_token_ids, Key::ignore_eos});

/// What may stand there with the only value that is done here.
bool is_neutral(std::string_view key, json const& value) {
    if (key == "n" || key == "best_of") return value == 1;
    if (key == "stream" || key == "parallel_tool_calls") return value == false;
    if (key == "presence_penalty" || key == "frequency_penalty") return value == 0;
    if (key == "tools" || key == "logit_bias") return value.empty();
    if (key == "response_format") return value == json{{"type", "text"}};
    if (key == "modalities") return value == json{"text"};
    return false;
}

std::optional<Key> key_of(std::string_view name) {
    if (name == "max_tokens" || name == "max_completion_tokens") return Key::max_new_tokens;
    if (name == "top_logprobs") return Key::logprobs;
    auto const key = find_key(name);
    if (key && std::ranges::find(same_name, *key) != same_name.end()) return key;
    return std::nullopt;
}

Complaint set(RequestLine& line, Key key, json const& value) {
    if (!value.is_array() || !takes_list(key)) {
        auto scalar = scalar_of(value);
        return set_field(line, key, scalar);
    }
    start_list(line, key);
    for (auto const& element : value) {
        auto scalar = scalar_of(element);
        if (auto complaint = add_element(line, key, scalar)) return complaint;
    }
    return {};
}

void set_member(RequestLine& line, JsonNode const& body, std::string const& name,
                json const& value) {
    if (std::ranges::find(ignored, name) != ignored.end() || is_neutral(name, value)) return;
    auto const key = key_of(name);
    if (!key) {
        body.fail("the key " + quote_start(name) + " with " + quote_start(value.dump(), 60) +
                  " is not supported");
    }
    if (auto const complaint = set(line, *key, value)) body.fail(*complaint);
}

/// OpenAI says first whether there are logprobs, then of how many.
void set_logprobs(RequestLine& line, JsonNode const& body) {
    bool const wanted = body.boolean_or("logprobs", false);
    if (line.logprobs && !wanted) {
        body.fail("top_logprobs is given without \"logprobs\": true");
    }
    if (wanted) line.logprobs = line.logprobs.value_or(0);
}

}  // namespace

void set_body(RequestLine& line, JsonNode const& body) {
    if (!body.is_object()) body.fail_expected("an object");
    if (body.find("max_tokens") && body.find("max_completion_tokens")) {
        body.fail("both max_tokens and max_completion_tokens are given, expected one of them");
    }
    for (auto const& [name, value] : body.value().items()) {
        if (value.is_null() || name == "messages" || name == "logprobs") continue;
        set_member(line, body, name, value);
    }
    set_logprobs(line, body);
    set_messages(line, body.at("messages"));
}

}  // namespace tesserank::io::detail
