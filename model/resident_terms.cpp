#include "model/resident_terms.hpp"

#include "model/candidates.hpp"

#include <algorithm>

namespace tesserank::model {

bool decodes_resident(Transformer& model) {
    return model.options().resident && model.backend().resident_decode() != nullptr &&
           model.ranks().queued();
}

ResidentTerms terms_of(std::span<GenerateRequest const> requests, BatchTools const& tools,
                       std::size_t vocabulary) {
    ResidentTerms terms;
    terms.resident = tools.logits == nullptr;
    for (auto const& request : requests) {
        auto ids = request.stop.token_ids;
        if (!request.stop.ignore_eos) {
            ids.insert(ids.end(), tools.eos_ids.begin(), tools.eos_ids.end());
        }
        terms.top = std::max(terms.top, std::min(request.top_logprobs.value_or(0), vocabulary));
        terms.stop_strings.push_back(!request.stop.strings.empty());
        terms.penalties |= request.sampling.repetition_penalty != 1.0F;
        terms.resident &= ids.size() <= most_stop_ids;
        terms.stop_ids.push_back(std::move(ids));
    }
    terms.resident &= terms.top <= most_candidates;
    return terms;
}

void share_terms(parallel::MpiCommunicator& ranks, ResidentTerms& terms) {
    std::vector<std::int32_t> flat;
    for (std::size_t i = 0; i < terms.stop_ids.size(); ++i) {
        auto const& ids = terms.stop_ids[i];
        auto const count = static_cast<std::int32_t>(ids.size());
        flat.push_back(terms.stop_strings[i] ? ~count : count);  // negative: by text as well
        flat.insert(flat.end(), ids.begin(), ids.end());
    }
    SharedTerms::Numbers numbers{terms.resident, terms.penalties,
                                 static_cast<std::int64_t>(terms.top),
                                 static_cast<std::int64_t>(flat.size())};
    ranks.broadcast(std::as_writable_bytes(std::span(numbers)), choosing_rank);
    flat.resize(static_cast<std::size_t>(numbers[3]));
    ranks.broadcast(std::as_writable_bytes(std::span(flat)), choosing_rank);
    if (ranks.rank() == choosing_rank) return;
    terms = {.resident = numbers[0] != 0,
             .penalties = numbers[1] != 0,
             .top = static_cast<std::size_t>(numbers[2]),
             .stop_ids = {},
             .stop_strings = {}};
    for (auto next = flat.begin(); next != flat.end();) {
        auto const sent = *next++;
        auto const count = sent < 0 ? ~sent : sent;
        terms.stop_strings.push_back(sent < 0);
        terms.stop_ids.emplace_back(next, next + count);
        next += count;
    }
}

}  // namespace tesserank::model
