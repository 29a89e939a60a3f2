#include "io/requests/result_writer.hpp"

#include "io/requests/json_text.hpp"
#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

/// By a stream, because a model's output may be wider than its tokenizer's vocabulary.
std::string decode(Tokenizer const& tokenizer, model::GenerateResult const& result) {
    TextStream stream(tokenizer, Tokenizer::SpecialText::skip);
    std::string text;
    for (auto const token : result.tokens) text += stream.append(token);
    text += stream.finish();
    if (result.text_end && *result.text_end < text.size()) text.resize(*result.text_end);
    return text;
}

std::string list_top_logprobs(std::vector<std::vector<kernels::TokenLogprob>> const& all) {
    std::string json = "[";
    for (auto const& best : all) {
        json += json.size() > 1 ? ", [" : "[";
        for (auto const& entry : best) {
            if (json.back() != '[') json += ", ";
            json += JsonObject().add("token", entry.token).add("logprob", entry.logprob).close();
        }
        json += ']';
    }
    return json + ']';
}

}  // namespace

ResultWriter::ResultWriter(std::string const& path, Task task, Tokenizer const* tokenizer,
                           RunProgress const& done)
    : file_(path, done.output_bytes),
      task_(task),
      tokenizer_(tokenizer),
      results_{done.results},
      errors_{done.errors} {
    if (done.output_bytes == 0 || file_.hash() == done.output_hash) return;
    throw kernels::InputError(path + ".partial: its first " + std::to_string(done.output_bytes) +
                              " bytes are not those that the journal beside it speaks of; give " +
                              "--resume no to start anew");
}

RunProgress ResultWriter::progress() const {
    return {.results = results_,
            .errors = errors_,
            .output_bytes = file_.bytes(),
            .output_hash = file_.hash()};
}

void ResultWriter::write(model::GenerateRequest const& request,
                         model::GenerateResult const& result) {
    if (!result.error.empty()) return write(RequestError{request.id, 0, result.error});
    JsonObject line;
    line.add("id", request.id);
    if (tokenizer_ == nullptr) {
        line.add_null("text");
    } else {
        line.add("text", decode(*tokenizer_, result));
    }
    line.add("tokens", std::span(result.tokens));
    line.add("finish_reason", result.reason == model::FinishReason::stop ? "stop" : "length");
    line.add("prompt_tokens", request.prompt.size());
    if (request.top_logprobs) line.add("logprobs", std::span(result.logprobs));
    if (request.top_logprobs.value_or(0) > 0) {
        line.add_json("top_logprobs", list_top_logprobs(result.top_logprobs));
    }
    put(line.close());
}

void ResultWriter::write(model::ScoreRequest const& request, model::ScoreResult const& result) {
    if (!result.error.empty()) return write(RequestError{request.id, 0, result.error});
    // In double: a sum over thousands of tokens loses nothing that the parts had.
    auto const sum = std::accumulate(result.logprobs.begin(), result.logprobs.end(), 0.0);
    put(JsonObject()
            .add("id", request.id)
            .add("prompt_tokens", request.prompt.size())
            .add("completion_tokens", request.completion.size())
            .add("tokens", std::span(request.completion))
            .add("logprobs", std::span(result.logprobs))
            .add("sum_logprob", sum)
            .close());
}

void ResultWriter::write(RequestError const& error) {
    JsonObject line;
    if (error.id) {
        line.add("id", *error.id);
    } else {
        line.add_null("id");
    }
    if (task_ == Task::generate) {
        line.add("text", "").add_json("tokens", "[]").add("finish_reason", "error");
        line.add("prompt_tokens", 0);
    }
    put(line.add("error", error.message).close());
    ++errors_;
}

void ResultWriter::commit() { file_.commit(); }

void ResultWriter::put(std::string line) {
    line += '\n';
    file_.write(line);
    kernels::note_progress();
    ++results_;
}

}  // namespace tesserank::io
