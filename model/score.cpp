#include "model/generate.hpp"
#include "model/share_batch.hpp"
#include "model/static_batch.hpp"

#include <utility>

namespace tesserank::model {
namespace {

/// What a completion's likelihood needs: its tokens, and the positions that predict them.
Sequence sequence_of(ScoreRequest const& request, bool all_logits) {
    Sequence sequence{.prompt = request.prompt,
                      .first_output = all_logits ? 0 : request.prompt.size() - 1,
                      .length = request.prompt.size() + request.completion.size(),
                      .places = request.pictures.places};
    sequence.prompt.insert(sequence.prompt.end(), request.completion.begin(),
                           request.completion.end());
    // Nothing follows the last token, so nobody asks what it predicts.
    if (!all_logits) sequence.prompt.pop_back();
    return sequence;
}

}  // namespace

std::vector<ScoreResult> score(Transformer& model, parallel::MpiCommunicator& ranks,
                               std::span<ScoreRequest const> requests, BatchTools const& tools) {
    std::vector<Sequence> sequences;
    for (auto const& request : requests)
        sequences.push_back(sequence_of(request, tools.logits != nullptr));
    auto const pictures = pictures_of(requests);
    auto batch = start_batch(model, ranks, std::move(sequences), tiles_of(pictures));
    if (tools.features != nullptr) append_features(*tools.features, model, pictures);
    std::vector<ScoreResult> results(requests.size());
    prefill(model, batch,
            [&](LogitBlock const& block, std::span<StaticBatch::Output const> outputs) {
                kernels::ConstTensorView const logits = model.whole_logits(block.local).local;
                if (ranks.rank() != choosing_rank) return;
                for (std::size_t i = 0; i < outputs.size(); ++i) {
                    auto const [sequence, position] = outputs[i];
                    auto const& request = requests[sequence];
                    auto const row = logits.rows_from(i, 1);
                    if (tools.logits != nullptr)
                        append_row(*tools.logits, request.id, model.backend(), row);
                    std::size_t const next = position + 1;  // of prompt and completion
                    if (next < request.prompt.size() ||
                        next >= request.prompt.size() + request.completion.size())
                        continue;
                    auto const& token = request.completion[next - request.prompt.size()];
                    float logprob = 0.0F;
                    model.backend().log_probabilities(row, {&token, 1}, {&logprob, 1});
                    results[sequence].logprobs.push_back(logprob);
                }
            });
    return results;
}

}  // namespace tesserank::model
