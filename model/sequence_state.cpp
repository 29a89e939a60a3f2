#include "model/sequence_state.hpp"

#include "kernels/random.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

bool contains(std::span<std::int32_t const> ids, std::int32_t id) {
    return std::ranges::find(ids, id) != ids.end();
}

}  // namespace

SequenceState::SequenceState(GenerateRequest const& request, std::span<std::int32_t const> eos_ids,
                             std::unique_ptr<TextStream> stream)
    : request_{request}, eos_ids_{eos_ids}, stream_{std::move(stream)}, seen_{request.prompt} {}

kernels::SamplingParams SequenceState::next_sampling() const {
    constexpr std::uint32_t only_sample = 0;
    auto const& options = request_.sampling;
    auto const position = static_cast<std::uint32_t>(result_.tokens.size());
    return {.temperature = options.temperature,
            .top_k = options.top_k,
            .top_p = options.top_p,
            .min_p = options.min_p,
            .repetition_penalty = options.repetition_penalty,
            .uniform = kernels::uniform_draw(options.seed, kernels::stream_of(request_.id),
                                             only_sample, position),
            .seen = seen_};
}

bool SequenceState::append(kernels::TokenLogprob chosen, std::vector<kernels::TokenLogprob> top) {
    result_.tokens.push_back(chosen.token);
    seen_.push_back(chosen.token);
    if (request_.top_logprobs) {
        result_.logprobs.push_back(chosen.logprob);
        if (*request_.top_logprobs > 0) result_.top_logprobs.push_back(std::move(top));
    }
    bool stopped = (!request_.stop.ignore_eos && contains(eos_ids_, chosen.token)) ||
                   contains(request_.stop.token_ids, chosen.token);
    bool ended = stopped || result_.tokens.size() >= request_.max_new_tokens;
    // A stop string that the last token completes still cuts the text.
    if (stream_ != nullptr) {
        auto text = stream_->append(chosen.token);
        if (ended) text += stream_->finish();
        if (found_stop_string(text)) stopped = ended = true;
    }
    if (stopped) result_.reason = FinishReason::stop;
    return ended;
}

void SequenceState::fail(std::string error) {
    result_ = {};
    result_.error = std::move(error);
}

bool SequenceState::found_stop_string(std::string const& new_text) {
    std::size_t const before = text_.size();
    text_ += new_text;
    std::size_t first = std::string::npos;
    for (auto const& stop : request_.stop.strings) {
        // A new match ends in the new text, so it starts at most its own length before it.
        std::size_t const from = before - std::min(before, stop.size() - 1);
        first = std::min(first, text_.find(stop, from));
    }
    if (first == std::string::npos) return false;
    result_.text_end = first;
    return true;
}

}  // namespace tesserank::model
