#include "model/generate.hpp"

#include "model/candidates.hpp"
#include "model/chooser.hpp"
#include "model/resident_loop.hpp"
#include "model/share_batch.hpp"
#include "model/static_batch.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

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

    /// The running sequences, rising, with the newest token of each.
    std::vector<std::pair<std::size_t, std::int32_t>> take() {
        auto running = std::exchange(newest_, {});
        // Prompts that are dealt out over ranks do not end in the order of the sequences.
        std::ranges::sort(running);
        return running;
    }

    /// One token for each running sequence. More sequences than max_rows take several steps.
    void decode() {
        std::vector<std::size_t> sequences;
        std::vector<std::int32_t> tokens;
        for (auto const& [sequence, token] : take()) {
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
                             .candidates = candidates,
                             .places = request.pictures.places});
    }
    auto const pictures = pictures_of(requests);
    auto batch = start_batch(model, ranks, std::move(sequences), tiles_of(pictures));
    if (tools.features != nullptr) append_features(*tools.features, model, pictures);
    std::unique_ptr<Chooser> chooser;
    if (ranks.rank() == choosing_rank) chooser = std::make_unique<Chooser>(model, requests, tools);
    ResidentTerms terms;
    if (decodes_resident(model)) {
        if (chooser) terms = terms_of(requests, tools, model.config().vocabulary);
        share_terms(ranks, terms);
    }
    Running running(model, ranks, batch, chooser.get());
    prefill(model, batch,
            [&](LogitBlock const& block, std::span<StaticBatch::Output const> outputs) {
                std::vector<std::size_t> sequences_done;
                for (auto const& output : outputs) sequences_done.push_back(output.sequence);
                running.advance(block, sequences_done);
            });
    if (tools.prefilled) tools.prefilled();
    if (terms.resident && !running.empty()) {
        ResidentLoop(model, ranks, batch, chooser.get(), terms, tools.host_seconds)
            .run(running.take());
    }
    while (!running.empty()) running.decode();
    return chooser ? chooser->results() : std::vector<GenerateResult>();
}

}  // namespace tesserank::model
