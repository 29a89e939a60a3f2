#include "io/requests/request_reader.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

std::string prefix_line(std::size_t line, std::string_view message) {
    return "line " + std::to_string(line) + ": " + std::string(message);
}

/// The names of a field as text and as tokens.
struct FieldNames {
    std::string_view text, tokens;
};
FieldNames constexpr prompt_names{.text = "prompt", .tokens = "tokens"};
FieldNames constexpr completion_names{.text = "completion", .tokens = "completion_tokens"};

void check_tokens(std::vector<std::int32_t> const& tokens, std::size_t vocabulary,
                  std::string_view name) {
    auto const bad = std::ranges::find_if(
        tokens, [&](std::int32_t token) { return static_cast<std::size_t>(token) >= vocabulary; });
    if (bad == tokens.end()) return;
    throw InputError(std::string(name) + "[" + std::to_string(bad - tokens.begin()) + "]: found " +
                     std::to_string(*bad) + ", expected a token id below " +
                     std::to_string(vocabulary));
}

[[noreturn]] void fail_empty(std::string_view name) {
    throw InputError(std::string(name) + ": is empty, expected at least one token");
}

/// "the context's 256".
std::string describe_length(RequestLimits const& limits) {
    return std::string(limits.max_length_of) + "'s " + std::to_string(limits.max_length);
}

constexpr std::size_t always_read = std::size_t{1} << 20;  // quick, and it may be mostly blanks

/// Refuses what is too long for the context whatever its tokens are: tokenising takes seconds and
/// hundreds of megabytes by then.
void check_bytes(std::string const& text, FieldNames names, RequestLimits const& limits,
                 Tokenizer const& tokenizer) {
    constexpr std::size_t most_shrinking = 4;  // by a normalizer
    auto const most =
        std::max(always_read, most_shrinking * tokenizer.longest_token_bytes() * limits.max_length);
    if (text.size() <= most) return;
    throw InputError(std::string(names.text) + ": has " + std::to_string(text.size()) +
                     " bytes, expected at most " + std::to_string(most) + " for " +
                     describe_length(limits) + " tokens");
}

/// Refuses a long text when a small part at its start has twice the tokens that fit: what follows
/// can change the last few of them, and never halve them.
void check_start(std::string_view text, FieldNames names, RequestLimits const& limits,
                 Tokenizer const& tokenizer) {
    constexpr std::size_t bytes_per_token = 8;  // of ordinary text: 3 to 5
    auto const most_tokens = 2 * limits.max_length;
    auto bytes = bytes_per_token * most_tokens;
    if (text.size() <= std::max(always_read, 2 * bytes)) return;
    while (detail::is_continuation(text[bytes])) --bytes;
    auto const tokens = tokenizer.encode(text.substr(0, bytes), Tokenizer::SpecialTokens::omit);
    if (tokens.size() <= most_tokens) return;
    throw InputError(std::string(names.text) + ": its first " + std::to_string(bytes) + " of " +
                     std::to_string(text.size()) + " bytes have " + std::to_string(tokens.size()) +
                     " tokens, expected fewer than " + describe_length(limits));
}

std::vector<std::int32_t> encode(TextOrTokens&& given, FieldNames names,
                                 Tokenizer::SpecialTokens special, RequestLimits const& limits,
                                 Tokenizer const* tokenizer) {
    if (auto* tokens = std::get_if<1>(&given)) {
        if (tokens->empty()) fail_empty(names.tokens);
        return std::move(*tokens);
    }
    auto const& text = std::get<0>(given);
    if (text.empty()) fail_empty(names.text);
    if (tokenizer == nullptr) {
        throw InputError(std::string(names.text) +
                         ": the model file has no tokenizer; give token ids as \"" +
                         std::string(names.tokens) + "\"");
    }
    check_bytes(text, names, limits, *tokenizer);
    check_start(text, names, limits, *tokenizer);
    auto tokens = tokenizer->encode(text, special);
    // A normalizer may leave nothing of a text of blanks.
    if (tokens.empty()) fail_empty(names.text);
    return tokens;
}

model::SamplingOptions choose_sampling(RequestLine const& line,
                                       model::SamplingOptions const& otherwise) {
    return {.temperature = line.temperature.value_or(otherwise.temperature),
            .top_k = line.top_k.value_or(otherwise.top_k),
            .top_p = line.top_p.value_or(otherwise.top_p),
            .min_p = line.min_p.value_or(otherwise.min_p),
            .repetition_penalty = line.repetition_penalty.value_or(otherwise.repetition_penalty),
            .seed = line.seed.value_or(otherwise.seed)};
}

model::GenerateRequest make_generate(RequestLine&& line, RequestLimits const& limits,
                                     Tokenizer const* tokenizer) {
    auto prompt = encode(std::move(line.prompt), prompt_names, Tokenizer::SpecialTokens::add,
                         limits, tokenizer);
    check_tokens(prompt, limits.vocabulary, prompt_names.tokens);
    check_tokens(line.stop_token_ids, limits.vocabulary, "stop_token_ids");
    if (prompt.size() >= limits.max_length) {
        throw InputError("the prompt has " + std::to_string(prompt.size()) +
                         " tokens, expected fewer than " + describe_length(limits));
    }
    if (!line.stop.empty() && tokenizer == nullptr) {
        throw InputError(
            "stop: the model file has no tokenizer; give token ids as \"stop_token_ids\"");
    }
    auto const fits = limits.max_length - prompt.size();
    if (line.max_new_tokens > fits) {
        throw InputError("max_new_tokens: found " + std::to_string(*line.max_new_tokens) +
                         ", expected at most " + std::to_string(fits) + ": the prompt has " +
                         std::to_string(prompt.size()) + " of " + describe_length(limits) +
                         " tokens");
    }
    auto const otherwise =
        limits.default_max_new_tokens == 0 ? fits : std::min(limits.default_max_new_tokens, fits);
    return {.id = line.id,
            .prompt = std::move(prompt),
            .max_new_tokens = line.max_new_tokens.value_or(otherwise),
            .sampling = choose_sampling(line, limits.sampling),
            .stop = {.strings = std::move(line.stop),
                     .token_ids = std::move(line.stop_token_ids),
                     .ignore_eos = line.ignore_eos},
            .top_logprobs = line.logprobs};
}

model::ScoreRequest make_score(RequestLine&& line, RequestLimits const& limits,
                               Tokenizer const* tokenizer) {
    auto prompt = encode(std::move(line.prompt), prompt_names, Tokenizer::SpecialTokens::add,
                         limits, tokenizer);
    auto completion = encode(std::move(*line.completion), completion_names,
                             Tokenizer::SpecialTokens::omit, limits, tokenizer);
    check_tokens(prompt, limits.vocabulary, prompt_names.tokens);
    check_tokens(completion, limits.vocabulary, completion_names.tokens);
    if (prompt.size() + completion.size() > limits.max_length) {
        throw InputError("prompt and completion have " + std::to_string(prompt.size()) + " + " +
                         std::to_string(completion.size()) + " tokens, expected at most " +
                         describe_length(limits));
    }
    return {
        .id = std::move(line.id), .prompt = std::move(prompt), .completion = std::move(completion)};
}

}  // namespace

RequestReader::RequestReader(LineReader lines, RequestLimits limits, Tokenizer const* tokenizer)
    : lines_(std::move(lines)), limits_(limits), tokenizer_(tokenizer) {}

std::optional<std::variant<RequestLine, RequestError>> RequestReader::next_line(Task task) {
    do {
        if (!lines_.next()) return std::nullopt;
    } while (lines_.is_blank());
    if (lines_.too_long()) {
        return RequestError{
            .id = {}, .line = line(), .message = prefix_line(line(), "longer than 64 MiB")};
    }
    auto parsed = parse_request_line(lines_.text(), task);
    auto* error = std::get_if<RequestError>(&parsed);
    if (error != nullptr) {
        error->line = line();
        error->message = prefix_line(line(), error->message);
    }
    // A failed line has a result too, so its id is taken as well.
    auto const id = error == nullptr ? std::get<RequestLine>(parsed).id : error->id.value_or("");
    auto const first = id.empty() ? std::nullopt : ids_.insert(id, line());
    if (error == nullptr && first) {
        return RequestError{
            .id = id,
            .line = line(),
            .message = prefix_line(line(), "id: found " + quote_start(id) + ", which line " +
                                               std::to_string(*first) +
                                               " has already, expected another on every line")};
    }
    return parsed;
}

template <class Request, class Make>
std::optional<std::variant<Request, RequestError>> RequestReader::next(Task task, Make make) {
    auto parsed = next_line(task);
    if (!parsed) return std::nullopt;
    if (auto* error = std::get_if<RequestError>(&*parsed)) return std::move(*error);
    auto& request = std::get<RequestLine>(*parsed);
    auto const id = request.id;
    try {
        return make(std::move(request), limits_, tokenizer_);
    } catch (InputError const& error) {
        return RequestError{.id = id, .line = line(), .message = prefix_line(line(), error.what())};
    }
}

void RequestReader::skip(Task task, std::size_t lines) {
    while (line() < lines) {
        if (!next_line(task)) {
            throw InputError("the input has " + std::to_string(line()) +
                             " lines, expected at least " + std::to_string(lines));
        }
    }
}

std::optional<std::variant<model::GenerateRequest, RequestError>> RequestReader::next_generate() {
    return next<model::GenerateRequest>(Task::generate, make_generate);
}

std::optional<std::variant<model::ScoreRequest, RequestError>> RequestReader::next_score() {
    return next<model::ScoreRequest>(Task::score, make_score);
}

}  // namespace tesserank::io
