#include "io/requests/request_reader.hpp"

#include "io/requests/encode_text.hpp"
#include "io/requests/json_text.hpp"
#include "io/run_on_threads.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

std::string prefix_line(std::size_t line, std::string_view message) {
    return "line " + std::to_string(line) + ": " + std::string(message);
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

/// An answer in a conversation ends where the model's turn does, as it does at the end of the text.
void stop_at(std::optional<std::int32_t> turn_end, RequestLine& line) {
    if (!turn_end || line.ignore_eos) return;
    if (std::ranges::find(line.stop_token_ids, *turn_end) != line.stop_token_ids.end()) return;
    line.stop_token_ids.push_back(*turn_end);
}

model::GenerateRequest make_generate(RequestLine&& line, RequestLimits const& limits,
                                     PromptTools const& tools) {
    auto made = make_prompt(std::move(line.prompt), line.images, limits, tools);
    auto& prompt = made.tokens;
    detail::check_tokens(line.stop_token_ids, limits.vocabulary, "stop_token_ids");
    if (prompt.size() >= limits.max_length) {
        throw InputError("the prompt has " + std::to_string(prompt.size()) +
                         " tokens, expected fewer than " + describe_length(limits));
    }
    if (!line.stop.empty() && tools.tokenizer == nullptr) {
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
    stop_at(made.turn_end, line);
    return {.id = line.id,
            .prompt = std::move(prompt),
            .pictures = std::move(made.pictures),
            .max_new_tokens = line.max_new_tokens.value_or(otherwise),
            .sampling = choose_sampling(line, limits.sampling),
            .stop = {.strings = std::move(line.stop),
                     .token_ids = std::move(line.stop_token_ids),
                     .ignore_eos = line.ignore_eos},
            .top_logprobs = line.logprobs};
}

model::ScoreRequest make_score(RequestLine&& line, RequestLimits const& limits,
                               PromptTools const& tools) {
    auto made = make_prompt(std::move(line.prompt), line.images, limits, tools);
    auto& prompt = made.tokens;
    auto completion = make_completion(std::move(*line.completion), limits, tools.tokenizer);
    if (prompt.size() + completion.size() > limits.max_length) {
        throw InputError("prompt and completion have " + std::to_string(prompt.size()) + " + " +
                         std::to_string(completion.size()) + " tokens, expected at most " +
                         describe_length(limits));
    }
    return {.id = std::move(line.id),
            .prompt = std::move(prompt),
            .pictures = std::move(made.pictures),
            .completion = std::move(completion)};
}

}  // namespace

RequestReader::RequestReader(LineReader lines, RequestLimits limits, PromptTools tools)
    : lines_(std::move(lines)), limits_(limits), tools_(std::move(tools)) {}

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
std::vector<ReadLine<Request>> RequestReader::next(std::size_t most, Task task, Make make) {
    std::vector<std::variant<RequestLine, RequestError>> parsed;
    std::vector<ReadLine<Request>> results;
    std::size_t bytes = 0;
    while (parsed.size() < most && bytes < longest_request_line) {
        auto next = next_line(task);
        if (!next) break;
        bytes += lines_.text().size();
        parsed.push_back(std::move(*next));
        results.push_back({line(), RequestError{}});
    }
    run_on_threads(parsed.size(), [&](std::size_t i) {
        if (auto* error = std::get_if<RequestError>(&parsed[i])) {
            results[i].content = std::move(*error);
            return;
        }
        auto& request = std::get<RequestLine>(parsed[i]);
        auto const id = request.id;
        try {
            results[i].content = make(std::move(request), limits_, tools_);
        } catch (InputError const& error) {
            auto const number = results[i].line;
            results[i].content = RequestError{
                .id = id, .line = number, .message = prefix_line(number, error.what())};
        }
    });
    return results;
}

void RequestReader::skip(Task task, std::size_t lines) {
    while (line() < lines) {
        // The end may have been found behind blank lines, which count.
        if (!next_line(task) && line() < lines) {
            throw InputError("the input has " + std::to_string(line()) +
                             " lines, expected at least " + std::to_string(lines));
        }
    }
}

std::vector<ReadLine<model::GenerateRequest>> RequestReader::next_generate(std::size_t most) {
    return next<model::GenerateRequest>(most, Task::generate, make_generate);
}

std::vector<ReadLine<model::ScoreRequest>> RequestReader::next_score(std::size_t most) {
    return next<model::ScoreRequest>(most, Task::score, make_score);
}

}  // namespace tesserank::io
