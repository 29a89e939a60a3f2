#include "model/chooser.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::TokenLogprob;

/// One row's candidates, most likely first.
std::vector<TokenLogprob> ranked(Candidates const& candidates, std::size_t row) {
    std::vector<TokenLogprob> tokens;
    tokens.reserve(candidates.per_row);
    for (std::size_t i = row * candidates.per_row; i < (row + 1) * candidates.per_row; ++i) {
        tokens.push_back({candidates.tokens[i], candidates.logits[i]});
    }
    // By logit, since two of them may round to one logprob. Stable: of equals the lower id,
    // which stands first, stays first; a NaN is the least likely.
    auto const rank_of = [](TokenLogprob const& token) {
        return std::isnan(token.logprob) ? -std::numeric_limits<float>::infinity() : token.logprob;
    };
    std::ranges::stable_sort(tokens, std::greater<>(), rank_of);
    for (auto& token : tokens) token.logprob -= candidates.log_sums[row];
    return tokens;
}

}  // namespace

Chooser::Chooser(Transformer& model, std::span<GenerateRequest const> requests,
                 BatchTools const& tools)
    : model_{model}, requests_{requests}, tools_{tools} {
    for (auto const& request : requests) {
        bool const needs_text = !request.stop.strings.empty() && tools.text != nullptr;
        states_.emplace_back(request, tools.eos_ids, needs_text ? tools.text->make() : nullptr);
    }
}

void Chooser::choose(kernels::ConstTensorView logits, std::span<std::size_t const> sequences,
                     std::span<Choice> choices) {
    std::vector<TokenLogprob> chosen(sequences.size());
    model_.backend().sample(logits, params_of(sequences), chosen);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        auto const row = logits.rows_from(i, 1);
        // An infinity is the most likely token, and its probability may still be a number.
        if (!std::isfinite(logit_at(model_.backend(), row, chosen[i].token)))
            chosen[i].logprob = std::numeric_limits<float>::quiet_NaN();
        std::vector<TokenLogprob> top(top_of(sequences[i], row.cols));
        if (!top.empty()) model_.backend().top_log_probabilities(row, top);
        if (tools_.logits != nullptr)
            append_row(*tools_.logits, request(sequences[i]).id, model_.backend(), row);
        bool const ended = append(sequences[i], chosen[i], top);
        choices[i] = {chosen[i].token, ended ? 1 : 0};
    }
}

void Chooser::choose(Candidates const& candidates, std::span<std::size_t const> sequences,
                     std::span<Choice> choices) {
    std::vector<TokenLogprob> chosen(sequences.size());
    host_->sample(kernels::view_of(candidates.logits.data(), candidates.rows, candidates.per_row),
                  params_of(sequences), chosen);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        auto const column = static_cast<std::size_t>(chosen[i].token);
        std::size_t const at = i * candidates.per_row + column;
        TokenLogprob const token{candidates.tokens[at],
                                 candidates.logits[at] - candidates.log_sums[i]};
        bool const ended = append(sequences[i], token, ranked(candidates, i));
        choices[i] = {token.token, ended ? 1 : 0};
    }
}

bool Chooser::append(std::size_t sequence, TokenLogprob chosen, std::span<TokenLogprob const> top) {
    if (!std::isfinite(chosen.logprob)) {
        states_[sequence].fail(not_finite_message(model_.finite_check(), sequence));
        return true;
    }
    auto const wanted = top.first(top_of(sequence, top.size()));
    return states_[sequence].append(chosen, {wanted.begin(), wanted.end()});
}

std::vector<GenerateResult> Chooser::results() {
    std::vector<GenerateResult> results;
    results.reserve(states_.size());
    for (auto& state : states_) results.push_back(state.take_result());
    return results;
}

std::vector<kernels::SamplingParams> Chooser::params_of(
    std::span<std::size_t const> sequences) const {
    std::vector<kernels::SamplingParams> params;
    for (auto const sequence : sequences) params.push_back(states_[sequence].next_sampling());
    return params;
}

std::size_t Chooser::top_of(std::size_t sequence, std::size_t columns) const {
    return std::min(request(sequence).top_logprobs.value_or(0), columns);
}

}  // namespace tesserank::model
