#include "io/requests/request_fields.hpp"

#include "io/requests/json_text.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <utility>

namespace tesserank::io::detail {
namespace {

std::size_t constexpr most_stop_strings = 16;
std::size_t constexpr most_logprobs = 20;
std::int64_t constexpr most_new_tokens = std::numeric_limits<std::int32_t>::max();

/// Below it, dividing by the temperature would overflow; its limit is the greedy choice.
float constexpr least_temperature = 1e-5F;

struct Describe {
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool is) const { return is ? "true" : "false"; }
    std::string operator()(std::string const& text) const { return quote_start(text); }
    std::string operator()(ListValue) const { return "a list"; }
    std::string operator()(ObjectValue) const { return "an object"; }
    std::string operator()(auto number) const {
        std::string text;
        append_json(text, number);
        return text;
    }
};

std::string complain(std::string_view key, JsonScalar const& value, std::string_view expected) {
    return std::string(key) + ": found " + std::visit(Describe{}, value) + ", expected " +
           std::string(expected);
}

std::string complain(Key key, JsonScalar const& value, std::string_view expected) {
    return complain(name_of(key), value, expected);
}

/// A whole number within the limits.
std::optional<std::int64_t> to_integer(JsonScalar const& value, std::int64_t least,
                                       std::int64_t most) {
    std::int64_t number = 0;
    if (auto const* with_sign = std::get_if<std::int64_t>(&value)) {
        number = *with_sign;
    } else if (auto const* without = std::get_if<std::uint64_t>(&value);
               without != nullptr && std::in_range<std::int64_t>(*without)) {
        number = static_cast<std::int64_t>(*without);
    } else {
        return std::nullopt;
    }
    if (number < least || number > most) return std::nullopt;
    return number;
}

std::optional<float> to_number(JsonScalar const& value, double least, double most) {
    double number = 0;
    if (auto const* real = std::get_if<double>(&value)) {
        number = *real;
    } else if (auto const* with_sign = std::get_if<std::int64_t>(&value)) {
        number = static_cast<double>(*with_sign);
    } else if (auto const* without = std::get_if<std::uint64_t>(&value)) {
        number = static_cast<double>(*without);
    } else {
        return std::nullopt;
    }
    if (!(number >= least && number <= most)) return std::nullopt;
    return static_cast<float>(number);
}

Complaint set_count(std::optional<std::size_t>& field, Key key, JsonScalar const& value,
                    std::int64_t least) {
    auto const count = to_integer(value, least, most_new_tokens);
    if (!count) {
        return complain(key, value,
                        "a whole number from " + std::to_string(least) + " to " +
                            std::to_string(most_new_tokens));
    }
    field = static_cast<std::size_t>(*count);
    return {};
}

struct NumberRange {
    double least, most;
    std::string_view words;
};

Complaint set_number(std::optional<float>& field, Key key, JsonScalar const& value,
                     NumberRange range) {
    field = to_number(value, range.least, range.most);
    if (field) return {};
    return complain(key, value, range.words);
}

Complaint set_id(RequestLine& line, Key key, JsonScalar& value) {
    auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty() || text->size() > longest_id) {
        return complain(key, value, "a string of 1 to " + std::to_string(longest_id) + " bytes");
    }
    line.id = std::move(*text);
    return {};
}

Complaint set_text(auto& field, Key key, JsonScalar& value) {
    auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return complain(key, value, "a string");
    field = std::move(*text);
    return {};
}

Complaint set_seed(RequestLine& line, JsonScalar const& value) {
    if (auto const* without = std::get_if<std::uint64_t>(&value)) {
        line.seed = *without;
        return {};
    }
    return complain(Key::seed, value, "a whole number from 0 to 18446744073709551615");
}

Complaint set_logprobs(RequestLine& line, JsonScalar const& value) {
    if (auto const* wanted = std::get_if<bool>(&value)) {
        if (*wanted) line.logprobs = 0;
        return {};
    }
    auto const count = to_integer(value, 0, most_logprobs);
    if (!count) {
        return complain(Key::logprobs, value, "true, false or a whole number from 0 to 20");
    }
    line.logprobs = static_cast<std::size_t>(*count);
    return {};
}

Complaint add_token(std::vector<std::int32_t>& tokens, Key key, JsonScalar const& value) {
    auto const token = to_integer(value, 0, std::numeric_limits<std::int32_t>::max());
    if (!token) {
        return complain(std::string(name_of(key)) + "[" + std::to_string(tokens.size()) + "]",
                        value, "a token id: a whole number from 0 to 2147483647");
    }
    tokens.push_back(static_cast<std::int32_t>(*token));
    return {};
}

Complaint add_stop(RequestLine& line, JsonScalar& value) {
    auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty()) {
        return complain("stop[" + std::to_string(line.stop.size()) + "]", value,
                        "a string that is not empty");
    }
    if (line.stop.size() == most_stop_strings) return "stop: more than 16 strings";
    line.stop.push_back(std::move(*text));
    return {};
}

Complaint add_image(RequestLine& line, JsonScalar& value) {
    auto* source = std::get_if<std::string>(&value);
    if (source == nullptr || source->empty()) {
        return complain("images[" + std::to_string(line.images.size()) + "]", value,
                        "a path or a data URL");
    }
    line.images.push_back(std::move(*source));
    return {};
}

Complaint check_word(Key key, JsonScalar const& value, std::string_view expected) {
    auto const* text = std::get_if<std::string>(&value);
    if (text != nullptr && *text == expected) return {};
    return complain(key, value, "\"" + std::string(expected) + "\"");
}

Complaint set_temperature(RequestLine& line, JsonScalar const& value) {
    auto complaint = set_number(line.temperature, Key::temperature, value,
                                {0.0, 100.0, "a number from 0 to 100"});
    if (line.temperature && *line.temperature < least_temperature) line.temperature = 0.0F;
    return complaint;
}

}  // namespace

JsonScalar scalar_of(nlohmann::json const& value) {
    switch (value.type()) {
        case nlohmann::json::value_t::null:
            return nullptr;
        case nlohmann::json::value_t::boolean:
            return value.get<bool>();
        case nlohmann::json::value_t::number_integer:
            return value.get<std::int64_t>();
        case nlohmann::json::value_t::number_unsigned:
            return value.get<std::uint64_t>();
        case nlohmann::json::value_t::number_float:
            return value.get<double>();
        case nlohmann::json::value_t::string:
            return value.get_ref<std::string const&>();
        case nlohmann::json::value_t::array:
            return ListValue{};
        default:
            return ObjectValue{};
    }
}

bool takes_list(Key key) {
    return key == Key::tokens || key == Key::images || key == Key::completion_tokens ||
           key == Key::stop || key == Key::stop_token_ids;
}

void start_list(RequestLine& line, Key key) {
    if (key == Key::tokens) line.prompt = std::vector<std::int32_t>();
    if (key == Key::completion_tokens) line.completion = std::vector<std::int32_t>();
}

Complaint add_element(RequestLine& line, Key key, JsonScalar& value) {
    switch (key) {
        case Key::tokens:
            return add_token(std::get<1>(line.prompt), key, value);
        case Key::completion_tokens:
            return add_token(std::get<1>(*line.completion), key, value);
        case Key::images:
            return add_image(line, value);
        case Key::stop_token_ids:
            return add_token(line.stop_token_ids, key, value);
        default:
            return add_stop(line, value);
    }
}

Complaint set_field(RequestLine& line, Key key, JsonScalar& value) {
    if (std::holds_alternative<std::nullptr_t>(value)) return {};
    auto constexpr tiny = static_cast<double>(std::numeric_limits<float>::min());
    switch (key) {
        case Key::id:
        case Key::custom_id:
            return set_id(line, key, value);
        case Key::method:
            return check_word(key, value, "POST");
        case Key::url:
            return check_word(key, value, "/v1/chat/completions");
        case Key::prompt:
            return set_text(line.prompt, key, value);
        case Key::completion:
            return set_text(line.completion.emplace(), key, value);
        case Key::tokens:
        case Key::completion_tokens:
        case Key::stop_token_ids:
            return complain(key, value, "a list of token ids");
        case Key::images:
            return complain(key, value, "a list of paths and data URLs");
        case Key::messages:
            return complain(key, value, "a list of messages");
        case Key::body:
            return complain(key, value, "an object");
        case Key::max_new_tokens:
            return set_count(line.max_new_tokens, key, value, 1);
        case Key::temperature:
            return set_temperature(line, value);
        case Key::top_k:
            return set_count(line.top_k, key, value, 0);
        case Key::top_p:
            return set_number(line.top_p, key, value, {tiny, 1.0, "a number above 0, at most 1"});
        case Key::min_p:
            return set_number(line.min_p, key, value, {0.0, 1.0, "a number from 0 to 1"});
        case Key::repetition_penalty:
            return set_number(line.repetition_penalty, key, value,
                              {0.01, 100.0, "a number from 0.01 to 100"});
        case Key::seed:
            return set_seed(line, value);
        case Key::stop:
            return add_stop(line, value);
        case Key::ignore_eos:
            if (!std::holds_alternative<bool>(value)) return complain(key, value, "true or false");
            line.ignore_eos = std::get<bool>(value);
            return {};
        case Key::logprobs:
            return set_logprobs(line, value);
    }
    return {};
}

}  // namespace tesserank::io::detail
