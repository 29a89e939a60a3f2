#include "io/requests/request_line.hpp"
#include "io/tokenizer/utf8.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace tesserank;

void check(bool holds) {
    if (!holds) std::abort();
}

void check_line(io::RequestLine const& line, io::Task task) {
    check(!line.id.empty() && line.id.size() <= io::longest_id);
    check(line.completion.has_value() == (task == io::Task::score));
    check(!line.temperature || (*line.temperature >= 0.0F && *line.temperature <= 100.0F));
    check(!line.top_p || (*line.top_p > 0.0F && *line.top_p <= 1.0F));
    check(!line.repetition_penalty || std::isnormal(*line.repetition_penalty));
    check(!line.max_new_tokens || *line.max_new_tokens > 0);
    check(line.stop.size() <= 16 && line.logprobs.value_or(0) <= 20);
    for (auto const token : line.stop_token_ids) check(token >= 0);
    if (auto const* tokens = std::get_if<1>(&line.prompt)) {
        for (auto const token : *tokens) check(token >= 0);
    } else {
        check(io::detail::find_invalid_utf8(std::get<0>(line.prompt)) == std::string_view::npos);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    for (auto const task : {io::Task::generate, io::Task::score}) {
        auto const parsed = io::parse_request_line(text, task);
        if (auto const* line = std::get_if<io::RequestLine>(&parsed)) {
            check_line(*line, task);
        } else {
            auto const& error = std::get<io::RequestError>(parsed);
            check(!error.message.empty() && error.message.size() < 1000);
            check(io::detail::find_invalid_utf8(error.message) == std::string_view::npos);
            check(!error.id || (!error.id->empty() && error.id->size() <= io::longest_id));
        }
    }
    return 0;
}
