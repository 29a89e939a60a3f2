#include "model/static_batch.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <numeric>

namespace tesserank::model {

StaticBatch::StaticBatch(DecoderConfig const& config, std::vector<Sequence> sequences, int owners)
    : config_{config},
      sequences_{std::move(sequences)},
      deal_{sequences_.size(), owners},
      first_row_(1, 0),
      lengths_(sequences_.size(), 0) {
    bool const by_length = config.rope.kind == RopeConfig::Kind::dynamic_ntk;
    for (auto const& sequence : sequences_) {
        first_row_.push_back(first_row_.back() + sequence.prompt.size() + sequence.max_new_tokens);
        if (by_length || frequencies_.empty()) {
            // Fixed when the sequence starts, so that all its keys and queries turn alike.
            frequencies_.push_back(
                rotary_frequencies(config.rope, config.head_dim, sequence.prompt.size()));
        }
    }
    for (int owner = 0; owner < owners; ++owner) prefilling_.push_back(deal_.of(owner).begin);
}

CacheRows StaticBatch::cache_rows() const {
    CacheRows rows{.all = first_row_.back(), .dealt = {}};
    for (int owner = 0; owner < deal_.ranks(); ++owner) {
        auto const mine = deal_.of(owner);
        rows.dealt.push_back(first_row_[mine.end()] - first_row_[mine.begin]);
    }
    return rows;
}

int StaticBatch::owner_of(std::size_t sequence) const {
    int owner = 0;
    while (deal_.of(owner).end() <= sequence) ++owner;
    return owner;
}

/// Adds the next tokens of a sequence, whose ids are appended by the caller.
void StaticBatch::append_piece(Step& step, std::size_t index, std::size_t tokens) {
    int const owner = owner_of(index);
    auto& own = step.dealt[static_cast<std::size_t>(owner)];
    std::size_t const before = own.empty() ? 0 : own.back().row + own.back().tokens;
    step.segments.push_back({.row = step.ids.size(),
                             .tokens = tokens,
                             .first_position = lengths_[index],
                             .cache_row = first_row_[index]});
    own.push_back(step.segments.back());
    own.back().row = before;
    own.back().cache_row -= first_row_[deal_.of(owner).begin];
}

void StaticBatch::append_row(Step& step, std::size_t index, std::int32_t token,
                             std::size_t position) {
    step.ids.push_back(token);
    step.cos_sin.resize(step.ids.size() * config_.head_dim);
    auto const& frequencies = frequencies_[frequencies_.size() == 1 ? 0 : index];
    write_rotary_row(config_.rope, frequencies, position,
                     step.cos_sin.data() + (step.ids.size() - 1) * config_.head_dim);
}

std::vector<std::size_t> StaticBatch::deal_rows(std::size_t max_rows) const {
    std::vector<std::size_t> left(prefilling_.size());
    for (std::size_t owner = 0; owner < left.size(); ++owner) {
        for (auto i = prefilling_[owner]; i < deal_.of(static_cast<int>(owner)).end(); ++i) {
            left[owner] += sequences_[i].prompt.size() - lengths_[i];
        }
    }
    // Those with least left come first, so that what they leave over goes to the others.
    std::vector<std::size_t> order(left.size()), rows(left.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t owner) { return left[owner]; });
    for (std::size_t i = 0; i < order.size(); ++i) {
        std::size_t const others = order.size() - i;
        rows[order[i]] = std::min(left[order[i]], (max_rows + others - 1) / others);
        max_rows -= rows[order[i]];
    }
    return rows;
}

StaticBatch::PrefillStep StaticBatch::next_prefill(std::size_t max_rows) {
    PrefillStep result;
    result.step.phase = Step::Phase::prefill;
    result.step.dealt.resize(prefilling_.size());
    auto const rows = deal_rows(max_rows);
    for (std::size_t owner = 0; owner < rows.size(); ++owner) {
        prefill_owner(result, owner, rows[owner]);
    }
    return result;
}

void StaticBatch::prefill_owner(PrefillStep& result, std::size_t owner, std::size_t rows) {
    auto& step = result.step;
    std::size_t const end = step.ids.size() + rows;
    while (step.ids.size() < end) {
        std::size_t const index = prefilling_[owner];
        auto const& [prompt, max_new_tokens, first_output, candidates] = sequences_[index];
        auto& length = lengths_[index];
        std::size_t const count = std::min(prompt.size() - length, end - step.ids.size());
        append_piece(step, index, count);
        for (std::size_t i = 0; i < count; ++i, ++length) {
            if (length >= first_output) {
                result.output_rows.push_back(step.ids.size());
                result.outputs.push_back({index, length});
            }
            append_row(step, index, prompt[length], length);
        }
        if (length == prompt.size()) ++prefilling_[owner];
    }
}

Step StaticBatch::decode(std::span<std::size_t const> running,
                         std::span<std::int32_t const> tokens) {
    Step step;
    step.phase = Step::Phase::decode;
    step.dealt.resize(prefilling_.size());
    for (std::size_t i = 0; i < running.size(); ++i) {
        std::size_t const index = running[i];
        auto& length = lengths_[index];
        auto const& sequence = sequences_[index];
        kernels::require(length < sequence.prompt.size() + sequence.max_new_tokens,
                         "a sequence outgrew its cache");
        kernels::require(i == 0 || running[i - 1] < index, "the running sequences do not rise");
        append_piece(step, index, 1);
        append_row(step, index, tokens[i], length);
        ++length;
    }
    return step;
}

}  // namespace tesserank::model
