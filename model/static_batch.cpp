#include "model/static_batch.hpp"

#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::model {

StaticBatch::StaticBatch(DecoderConfig const& config, std::vector<Sequence> sequences)
    : config_{config}, sequences_{std::move(sequences)}, lengths_(sequences_.size(), 0) {
    bool const by_length = config.rope.kind == RopeConfig::Kind::dynamic_ntk;
    for (auto const& sequence : sequences_) {
        cache_rows_.push_back(cache_tokens_);
        cache_tokens_ += sequence.prompt.size() + sequence.max_new_tokens;
        if (by_length || frequencies_.empty()) {
            // Fixed when the sequence starts, so that all its keys and queries turn alike.
            auto const length = sequence.length == 0 ? sequence.prompt.size() : sequence.length;
            frequencies_.push_back(rotary_frequencies(config.rope, config.head_dim, length));
        }
    }
}

void StaticBatch::append_row(Step& step, std::size_t index, std::int32_t token,
                             std::size_t position) {
    step.ids.push_back(token);
    step.cos_sin.resize(step.ids.size() * config_.head_dim);
    auto const& frequencies = frequencies_[frequencies_.size() == 1 ? 0 : index];
    write_rotary_row(config_.rope, frequencies, position,
                     step.cos_sin.data() + (step.ids.size() - 1) * config_.head_dim);
}

StaticBatch::PrefillStep StaticBatch::next_prefill(std::size_t max_rows) {
    PrefillStep result;
    auto& step = result.step;
    step.phase = Step::Phase::prefill;
    while (prefilling_ < sequences_.size() && step.ids.size() < max_rows) {
        auto const& prompt = sequences_[prefilling_].prompt;
        auto& length = lengths_[prefilling_];
        std::size_t const count = std::min(prompt.size() - length, max_rows - step.ids.size());
        step.segments.push_back({.row = step.ids.size(),
                                 .tokens = count,
                                 .first_position = length,
                                 .cache_row = cache_rows_[prefilling_]});
        for (std::size_t i = 0; i < count; ++i, ++length) {
            if (length >= sequences_[prefilling_].first_output) {
                result.output_rows.push_back(step.ids.size());
                result.outputs.push_back({prefilling_, length});
            }
            append_row(step, prefilling_, prompt[length], length);
        }
        if (length == prompt.size()) ++prefilling_;
    }
    return result;
}

Step StaticBatch::decode(std::span<std::size_t const> running,
                         std::span<std::int32_t const> tokens) {
    Step step;
    step.phase = Step::Phase::decode;
    for (std::size_t i = 0; i < running.size(); ++i) {
        auto& length = lengths_[running[i]];
        auto const& sequence = sequences_[running[i]];
        kernels::require(length < sequence.prompt.size() + sequence.max_new_tokens,
                         "a sequence outgrew its cache");
        step.segments.push_back({.row = i,
                                 .tokens = 1,
                                 .first_position = length,
                                 .cache_row = cache_rows_[running[i]]});
        append_row(step, running[i], tokens[i], length);
        ++length;
    }
    return step;
}

}  // namespace tesserank::model
