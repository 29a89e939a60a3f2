#include "io/requests/request_line.hpp"
#include "io/tokenizer/utf8.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using namespace tesserank;

void check(bool holds) {
    if (!holds) std::abort();
}

bool is_utf8(std::string_view text) {
    return io::detail::find_invalid_utf8(text) == std::string_view::npos;
}

struct CheckPrompt {
    std::size_t images;

    void operator()(std::string const& text) const { check(is_utf8(text)); }
    void operator()(std::vector<std::int32_t> const& tokens) const {
        for (auto const token : tokens) check(token >= 0);
    }
    /// Every image has a place in a conversation, and every place an image.
    void operator()(std::vector<io::ChatMessage> const& messages) const {
        check(!messages.empty());
        std::size_t places = 0;
        for (auto const& message : messages) {
            places += message.content.pictures();
            for (auto const& text : message.content.texts) check(is_utf8(text));
        }
        check(places == images);
    }
};

void check_line(io::RequestLine const& line, io::Task task) {
    check(!line.id.empty() && line.id.size() <= io::longest_id);
    check(line.completion.has_value() == (task == io::Task::score));
    check(!line.temperature || (*line.temperature >= 0.0F && *line.temperature <= 100.0F));
    check(!line.top_p || (*line.top_p > 0.0F && *line.top_p <= 1.0F));
    check(!line.repetition_penalty || std::isnormal(*line.repetition_penalty));
    check(!line.max_new_tokens || *line.max_new_tokens > 0);
    check(line.stop.size() <= 16 && line.logprobs.value_or(0) <= 20);
    for (auto const token : line.stop_token_ids) check(token >= 0);
    for (auto const& image : line.images) check(!image.empty() && is_utf8(image));
    std::visit(CheckPrompt{line.images.size()}, line.prompt);
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
            check(is_utf8(error.message));
            check(!error.id || (!error.id->empty() && error.id->size() <= io::longest_id));
        }
    }
    return 0;
}
