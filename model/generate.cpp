#include "model/generate.hpp"

#include "model/candidates.hpp"
#include "model/sequence_state.hpp"
#include "model/share_batch.hpp"
#include "model/static_batch.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::ConstTensorView;
using kernels::TokenLogprob;

/// Chooses the tokens of a batch; exists on rank 0 alone.
class Chooser {
  public:
    Chooser(Transformer& model, std::span<GenerateRequest const> requests, BatchTools const& tools)
        : model_{model}, requests_{requests}, tools_{tools} {
        for (auto const& request : requests) {
            bool const needs_text = !request.stop.strings.empty() && tools.text != nullptr;
            states_.emplace_back(request, tools.eos_ids, needs_text ? tools.text->make() : nullptr);
        }
    }

    /// Takes one row of whole logits for each of `sequences`.
    void choose(ConstTensorView logits, std::span<std::size_t const> sequences,
                std::span<Choice> choices) {
        std::vector<TokenLogprob> chosen(sequences.size());
        model_.backend().sample(logits, params_of(sequences), chosen);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            auto const& request = requests_[sequences[i]];
            auto const row = logits.rows_from(i, 1);
            std::vector<TokenLogprob> top(std::min(request.top_logprobs.value_or(0), row.cols));
            if (!top.empty()) model_.backend().top_log_probabilities(row, top);
            if (tools_.logits != nullptr)
                append_row(*tools_.logits, request.id, model_.backend(), row);
            choices[i] = append(sequences[i], chosen[i], std::move(top));
        }
    }

    /// The same from the most likely tokens alone, which these sequences' sampling needs.
    void choose(Candidates const& candidates, std::span<std::size_t const> sequences,
                std::span<Choice> choices) {
        std::vector<TokenLogprob> chosen(sequences.size());
        model_.backend().sample(
            kernels::view_of(candidates.logits.data(), candidates.rows, candidates.per_row),
            params_of(sequences), chosen);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            auto row = ranked(candidates, i);
            auto const column = static_cast<std::size_t>(chosen[i].token);
            std::size_t const at = i * candidates.per_row + column;
            TokenLogprob const token{candidates.tokens[at],
                                     candidates.logits[at] - candidates.log_sums[i]};
            row.resize(std::min(row.size(), requests_[sequences[i]].top_logprobs.value_or(0)));
            choices[i] = append(sequences[i], token, std::move(row));
        }
    }

    std::vector<GenerateResult> results() {
        std::vector<GenerateResult> results;
        results.reserve(states_.size());
        for (auto& state : states_) results.push_back(state.take_result());
        return results;
    }

  private:
    std::vector<kernels::SamplingParams> params_of(std::span<std::size_t const> sequences) const {
        std::vector<kernels::SamplingParams> params;
        for (auto const sequence : sequences) params.push_back(states_[sequence].next_sampling());
        return params;
    }

    /// One row's candidates, most likely first.
    static std::vector<TokenLogprob> ranked(Candidates const& candidates, std::size_t row) {
        std::vector<TokenLogprob> tokens;
        tokens.reserve(candidates.per_row);
        for (std::size_t i = row * candidates.per_row; i < (row + 1) * candidates.per_row; ++i) {
            tokens.push_back({candidates.tokens[i], candidates.logits[i]});
        }
        // By logit, since two of them may round to one logprob. Stable: of equals the lower id,
        // which stands first, stays first; a NaN is the least likely.
        auto const rank_of = [](TokenLogprob const& token) {
            return std::isnan(token.logprob) ? -std::numeric_limits<float>::infinity()
                                             : token.logprob;
        };
        std::ranges::stable_sort(tokens, std::greater<>(), rank_of);
        for (auto& token : tokens) token.logprob -= candidates.log_sums[row];
        return tokens;
    }

    Choice append(std::size_t sequence, TokenLogprob chosen, std::vector<TokenLogprob> top) {
        bool const ended = states_[sequence].append(chosen, std::move(top));
        return {chosen.token, ended ? 1 : 0};
    }

    Transformer& model_;
    std::span<GenerateRequest const> requests_;
    BatchTools tools_;
    std::vector<SequenceState> states_;
};

/// A batch in the making, on every rank; only the choosing one has a chooser.
class Running {
  public:
    Running(Transformer& model, parallel::MpiCommunicator& ranks, StaticBatch& batch,
            Chooser* chooser)
        : model_{model}, ranks_{ranks}, batch_{batch}, chooser_{chooser} {}

    /// Chooses a token for each of these sequences and keeps those that go on.
    void advance(LogitBlock const& block, std::span<std::size_t const> sequences) {
        std::vector<Choice> choices(sequences.size());
        std::size_t const count = candidates_of(sequences);
        if (count > 0 && needs_exchange(layout_of(block.local))) {
            auto const best = gather_candidates(model_.backend(), ranks_, block.local, count);
            if (chooser_ != nullptr) chooser_->choose(best, sequences, choices);
        } else {
            auto const logits = model_.whole_logits(block.local);
            if (chooser_ != nullptr) chooser_->choose(logits.local, sequences, choices);
        }
        ranks_.broadcast(std::as_writable_bytes(std::span(choices)), choosing_rank);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            if (choices[i].ended == 0) newest_.emplace_back(sequences[i], choices[i].token);
        }
    }

    bool empty() const { return newest_.empty(); }

    /// One token for each running sequence. More sequences than max_rows take several steps.
    void decode() {
        auto running = std::exchange(newest_, {});
        // Prompts that are dealt out over ranks do not end in the order of the sequences.
        std::ranges::sort(running);
        std::vector<std::size_t> sequences;
        std::vector<std::int32_t> tokens;
        for (auto const& [sequence, token] : running) {
            sequences.push_back(sequence);
            tokens.push_back(token);
        }
        std::size_t const most = model_.options().max_rows;
        for (std::size_t first = 0; first < sequences.size(); first += most) {
            auto const count = std::min(most, sequences.size() - first);
            step(std::span(sequences).subspan(first, count),
                 std::span(tokens).subspan(first, count));
        }
    }

  private:
    /// How many candidates each row of these sequences needs; 0 when one of them needs all.
    std::size_t candidates_of(std::span<std::size_t const> sequences) const {
        std::size_t most = 0;
        for (auto const sequence : sequences) {
            auto const count = batch_.sequence(sequence).candidates;
            if (count == 0) return 0;
            most = std::max(most, count);
        }
        return most;
    }

    void step(std::span<std::size_t const> sequences, std::span<std::int32_t const> tokens) {
        std::vector<std::size_t> rows(sequences.size());
        std::iota(rows.begin(), rows.end(), std::size_t{0});
        auto const states = model_.forward(batch_.decode(sequences, tokens), rows);
        for_logit_blocks(model_, states, rows.size(), [&](LogitBlock const& block) {
            advance(block, sequences.subspan(block.first, block.count));
        });
    }

    Transformer& model_;
    parallel::MpiCommunicator& ranks_;
    StaticBatch& batch_;
    Chooser* chooser_;
    std::vector<std::pair<std::size_t, std::int32_t>> newest_;  ///< running sequences, their tokens
};

}  // namespace

std::vector<GenerateResult> generate(Transformer& model, parallel::MpiCommunicator& ranks,
                                     std::span<GenerateRequest const> requests,
                                     BatchTools const& tools) {
    std::vector<Sequence> sequences;
    for (auto const& request : requests) {
        std::size_t const candidates =
            tools.logits != nullptr ? 0 : candidates_for(request, model.config().vocabulary);
        sequences.push_back({.prompt = request.prompt,
                             .max_new_tokens = request.max_new_tokens,
                             .first_output = request.prompt.size() - 1,
                             .candidates = candidates});
    }
    auto batch = start_batch(model, ranks, std::move(sequences));
    std::unique_ptr<Chooser> chooser;
    if (ranks.rank() == choosing_rank) chooser = std::make_unique<Chooser>(model, requests, tools);
    Running running(model, ranks, batch, chooser.get());
    prefill(model, batch,
            [&](LogitBlock const& block, std::span<StaticBatch::Output const> outputs) {
                std::vector<std::size_t> sequences_done;
                for (auto const& output : outputs) sequences_done.push_back(output.sequence);
                running.advance(block, sequences_done);
            });
    if (tools.prefilled) tools.prefilled();
    while (!running.empty()) running.decode();
    return chooser ? chooser->results() : std::vector<GenerateResult>();
}

}  // namespace tesserank::model
