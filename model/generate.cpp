#include "model/generate.hpp"

#include "model/sequence_state.hpp"
#include "model/share_batch.hpp"
#include "model/static_batch.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::ConstTensorView;
using kernels::TokenLogprob;

/// A token for a sequence, as rank 0 tells it to the others.
struct Choice {
    std::int32_t token;
    std::int32_t ended;  ///< 1: the sequence leaves
};

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

    /// Takes one row of logits for each of `sequences`.
    void choose(ConstTensorView logits, std::span<std::size_t const> sequences,
                std::span<Choice> choices) {
        std::vector<kernels::SamplingParams> params;
        for (auto const sequence : sequences) params.push_back(states_[sequence].next_sampling());
        std::vector<TokenLogprob> chosen(sequences.size());
        model_.backend().sample(logits, params, chosen);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            auto const& request = requests_[sequences[i]];
            auto const row = logits.rows_from(i, 1);
            std::vector<TokenLogprob> top(std::min(request.top_logprobs.value_or(0), row.cols));
            if (!top.empty()) model_.backend().top_log_probabilities(row, top);
            if (tools_.logits != nullptr)
                append_row(*tools_.logits, request.id, model_.backend(), row);
            bool const ended = states_[sequences[i]].append(chosen[i], std::move(top));
            choices[i] = {chosen[i].token, ended ? 1 : 0};
        }
    }

    std::vector<GenerateResult> results() {
        std::vector<GenerateResult> results;
        results.reserve(states_.size());
        for (auto& state : states_) results.push_back(state.take_result());
        return results;
    }

  private:
    Transformer& model_;
    std::span<GenerateRequest const> requests_;
    BatchTools tools_;
    std::vector<SequenceState> states_;
};

/// The sequences of a batch that still run, on every rank; only rank 0 has a chooser.
class Running {
  public:
    Running(parallel::MpiCommunicator& ranks, Chooser* chooser)
        : ranks_{ranks}, chooser_{chooser} {}

    /// Chooses a token for each of these sequences and keeps those that go on.
    void advance(ConstTensorView logits, std::span<std::size_t const> sequences) {
        std::vector<Choice> choices(sequences.size());
        if (chooser_ != nullptr) chooser_->choose(logits, sequences, choices);
        ranks_.broadcast(std::as_writable_bytes(std::span(choices)), 0);
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            if (choices[i].ended != 0) continue;
            sequences_.push_back(sequences[i]);
            tokens_.push_back(choices[i].token);
        }
    }

    bool empty() const { return sequences_.empty(); }
    /// The sequences and their newest tokens; none run until the next advance().
    std::pair<std::vector<std::size_t>, std::vector<std::int32_t>> take() {
        return {std::exchange(sequences_, {}), std::exchange(tokens_, {})};
    }

  private:
    parallel::MpiCommunicator& ranks_;
    Chooser* chooser_;
    std::vector<std::size_t> sequences_;
    std::vector<std::int32_t> tokens_;
};

void decode_step(Transformer& model, StaticBatch& batch, Running& running,
                 std::span<std::size_t const> sequences, std::span<std::int32_t const> tokens) {
    std::vector<std::size_t> rows(sequences.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    auto const states = model.forward(batch.decode(sequences, tokens), rows);
    for_logit_blocks(model, states, [&](ConstTensorView logits, std::size_t first) {
        running.advance(logits, sequences.subspan(first, logits.rows));
    });
}

/// A batch of more than max_rows sequences takes several steps per token.
void decode(Transformer& model, StaticBatch& batch, Running& running) {
    while (!running.empty()) {
        auto const [sequences, tokens] = running.take();
        for (std::size_t first = 0; first < sequences.size(); first += model.options().max_rows) {
            auto const count = std::min(model.options().max_rows, sequences.size() - first);
            decode_step(model, batch, running, std::span(sequences).subspan(first, count),
                        std::span(tokens).subspan(first, count));
        }
    }
}

}  // namespace

std::vector<GenerateResult> generate(Transformer& model, parallel::MpiCommunicator& ranks,
                                     std::span<GenerateRequest const> requests,
                                     BatchTools const& tools) {
    std::vector<Sequence> sequences;
    for (auto const& request : requests) {
        sequences.push_back({request.prompt, request.max_new_tokens, request.prompt.size() - 1});
    }
    StaticBatch batch(model.config(), share_sequences(ranks, std::move(sequences)));
    parallel::agree(ranks, [&] { model.cache().reserve(batch.cache_tokens()); });

    std::unique_ptr<Chooser> chooser;
    if (ranks.rank() == 0) chooser = std::make_unique<Chooser>(model, requests, tools);
    Running running(ranks, chooser.get());
    prefill(model, batch,
            [&](ConstTensorView logits, std::span<StaticBatch::Output const> outputs) {
                std::vector<std::size_t> sequences_done;
                for (auto const& output : outputs) sequences_done.push_back(output.sequence);
                running.advance(logits, sequences_done);
            });
    decode(model, batch, running);
    return chooser ? chooser->results() : std::vector<GenerateResult>();
}

}  // namespace tesserank::model
