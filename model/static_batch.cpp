#include "model/static_batch.hpp"

#include "kernels/error.hpp"
#include "model/row_layout.hpp"

#include <algorithm>

namespace tesserank::model {
namespace {

std::vector<std::size_t> prompt_lengths(std::vector<Sequence> const& sequences) {
    std::vector<std::size_t> lengths;
    lengths.reserve(sequences.size());
    for (auto const& sequence : sequences) lengths.push_back(sequence.prompt.size());
    return lengths;
}

}  // namespace

std::size_t Sequence::features() const {
    std::size_t count = 0;
    for (auto const& place : places) count += place.count;
    return count;
}

StaticBatch::StaticBatch(DecoderConfig const& config, std::vector<Sequence> sequences, int owners)
    : config_{config},
      sequences_{std::move(sequences)},
      schedule_{prompt_lengths(sequences_), owners},
      first_row_(1, 0),
      first_feature_(1, 0),
      lengths_(sequences_.size(), 0) {
    bool const by_length = config.rope.kind == RopeConfig::Kind::dynamic_ntk;
    for (auto const& sequence : sequences_) {
        first_row_.push_back(first_row_.back() + sequence.prompt.size() + sequence.max_new_tokens);
        first_feature_.push_back(first_feature_.back() + sequence.features());
        if (by_length || frequencies_.empty()) {
            // Fixed when the sequence starts, so that all its keys and queries turn alike.
            auto const length = sequence.length == 0 ? sequence.prompt.size() : sequence.length;
            frequencies_.push_back(rotary_frequencies(config.rope, config.head_dim, length));
        }
    }
}

CacheRows StaticBatch::cache_rows() const {
    CacheRows rows{.all = first_row_.back(), .dealt = {}};
    auto const& deal = schedule_.deal();
    for (int owner = 0; owner < deal.ranks(); ++owner) {
        auto const mine = deal.of(owner);
        rows.dealt.push_back(first_row_[mine.end()] - first_row_[mine.begin]);
    }
    return rows;
}

bool StaticBatch::generates() const {
    return std::ranges::any_of(sequences_, [](auto const& s) { return s.max_new_tokens > 0; });
}

/// Adds the next tokens of a sequence, whose ids are appended by the caller.
void StaticBatch::append_piece(Step& step, std::size_t index, int owner, std::size_t tokens) {
    auto& own = step.dealt[static_cast<std::size_t>(owner)];
    std::size_t const before = own.empty() ? 0 : own.back().row + own.back().tokens;
    step.segments.push_back({.row = step.ids.size(),
                             .tokens = tokens,
                             .first_position = lengths_[index],
                             .cache_row = first_row_[index]});
    own.push_back(step.segments.back());
    own.back().row = before;
    own.back().cache_row -= first_row_[schedule_.deal().of(owner).begin];
}

/// The features among the next tokens of a sequence, whose ids are appended by the caller.
void StaticBatch::append_features(Step& step, std::size_t index, std::size_t tokens) const {
    std::size_t feature = first_feature_[index];
    parallel::Range const piece{lengths_[index], tokens};
    for (auto const& place : sequences_[index].places) {
        auto const part = within({place.position, place.count}, piece);
        if (part.count > 0) {
            step.features.push_back({.row = step.ids.size() + part.begin - piece.begin,
                                     .count = part.count,
                                     .feature = feature + part.begin - place.position});
        }
        feature += place.count;
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

Step StaticBatch::empty_step(Step::Phase phase) const {
    Step step;
    step.phase = phase;
    step.dealt.resize(static_cast<std::size_t>(schedule_.deal().ranks()));
    return step;
}

StaticBatch::PrefillStep StaticBatch::next_prefill(std::size_t max_rows) {
    PrefillStep result{empty_step(Step::Phase::prefill), {}, {}};
    auto& step = result.step;
    for (auto const& [index, first, tokens, owner] : schedule_.next(max_rows)) {
        append_piece(step, index, owner, tokens);
        append_features(step, index, tokens);
        auto const& sequence = sequences_[index];
        for (auto& length = lengths_[index]; length < first + tokens; ++length) {
            if (length >= sequence.first_output) {
                result.output_rows.push_back(step.ids.size());
                result.outputs.push_back({index, length});
            }
            append_row(step, index, sequence.prompt[length], length);
        }
    }
    return result;
}

Step StaticBatch::decode(std::span<std::size_t const> running,
                         std::span<std::int32_t const> tokens) {
    auto step = empty_step(Step::Phase::decode);
    for (std::size_t i = 0; i < running.size(); ++i) {
        std::size_t const index = running[i];
        auto& length = lengths_[index];
        auto const& sequence = sequences_[index];
        kernels::require(length < sequence.prompt.size() + sequence.max_new_tokens,
                         "a sequence outgrew its cache");
        kernels::require(i == 0 || running[i - 1] < index, "the running sequences do not rise");
        append_piece(step, index, schedule_.owner_of(index), 1);
        append_row(step, index, tokens[i], length);
        ++length;
    }
    return step;
}

}  // namespace tesserank::model
