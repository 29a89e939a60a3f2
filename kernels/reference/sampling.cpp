#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

namespace tesserank::kernels::reference {
namespace {

struct Candidate {
    std::int32_t token = 0;
    float logit = 0.0F;
    double weight = 0.0;  ///< probability times an unknown factor
};

/// All tokens from the most to the least likely, on ties the lower id first; a NaN comes last.
std::vector<Candidate> sorted_candidates(std::span<float const> logits) {
    std::vector<Candidate> candidates(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        float const logit =
            std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i];
        candidates[i] = {.token = static_cast<std::int32_t>(i), .logit = logit};
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](Candidate const& a, Candidate const& b) { return a.logit > b.logit; });
    return candidates;
}

void penalize(std::span<float> logits, SamplingParams const& params) {
    std::set<std::int32_t> const seen(params.seen.begin(), params.seen.end());
    for (std::int32_t const token : seen) {
        if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) continue;
        float& logit = logits[static_cast<std::size_t>(token)];
        logit =
            logit > 0.0F ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
}

/// How many of the leading candidates hold the share `top_p` of all weight; at least one.
std::size_t count_of_mass(std::span<Candidate const> candidates, float top_p) {
    double total = 0.0;
    for (auto const& candidate : candidates) total += candidate.weight;
    double sum = 0.0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        sum += candidates[i].weight;
        if (sum >= static_cast<double>(top_p) * total) return i + 1;
    }
    return candidates.size();
}

std::int32_t draw(std::span<Candidate const> candidates, double uniform) {
    double total = 0.0;
    for (auto const& candidate : candidates) total += candidate.weight;
    double sum = 0.0;
    for (auto const& candidate : candidates) {
        sum += candidate.weight;
        if (sum > uniform * total) return candidate.token;
    }
    return candidates.back().token;
}

std::int32_t choose(std::vector<float> logits, SamplingParams const& params) {
    penalize(logits, params);
    auto candidates = sorted_candidates(logits);
    if (params.temperature <= 0.0F || params.top_k == 1) return candidates.front().token;
    float const largest = candidates.front().logit;
    for (auto& candidate : candidates) {
        // Equal infinities have no difference.
        candidate.weight =
            candidate.logit == largest
                ? 1.0
                : std::exp(static_cast<double>((candidate.logit - largest) / params.temperature));
    }
    if (params.top_k > 0 && params.top_k < candidates.size()) candidates.resize(params.top_k);
    if (params.top_p < 1.0F) candidates.resize(count_of_mass(candidates, params.top_p));
    auto const unlikely = std::find_if(
        candidates.begin() + 1, candidates.end(),
        [&](Candidate const& c) { return c.weight < static_cast<double>(params.min_p); });
    candidates.erase(unlikely, candidates.end());
    return draw(candidates, params.uniform);
}

/// log sum e^logit, in two parts so that a difference to it keeps its digits.
struct LogSum {
    explicit LogSum(std::span<float const> logits) {
        for (float const logit : logits) largest = std::max(largest, logit);
        double sum = 0.0;
        for (float const logit : logits) sum += std::exp(above(logit));
        logarithm = std::log(sum);
    }
    double above(float logit) const {
        return logit == largest ? 0.0 : static_cast<double>(logit) - static_cast<double>(largest);
    }
    float largest = -std::numeric_limits<float>::infinity();
    double logarithm = 0.0;  ///< of the sum of e^(logit - largest)
};

/// log softmax(logits)[token]
float log_probability(std::span<float const> logits, std::int32_t token) {
    LogSum const sum(logits);
    return static_cast<float>(sum.above(logits[static_cast<std::size_t>(token)]) - sum.logarithm);
}

}  // namespace

void ReferenceBackend::sample(ConstTensorView logits, std::span<SamplingParams const> params,
                              std::span<TokenLogprob> chosen) {
    contracts::sample(logits, params, chosen);
    for (std::size_t b = 0; b < logits.rows; ++b) {
        std::span<float const> const row(logits.row<float>(b), logits.cols);
        std::int32_t const token = choose({row.begin(), row.end()}, params[b]);
        chosen[b] = {.token = token, .logprob = log_probability(row, token)};
    }
}

void ReferenceBackend::log_probabilities(ConstTensorView logits,
                                         std::span<std::int32_t const> tokens,
                                         std::span<float> logprobs) {
    contracts::log_probabilities(logits, tokens, logprobs);
    for (std::size_t t = 0; t < logits.rows; ++t) {
        logprobs[t] = log_probability({logits.row<float>(t), logits.cols}, tokens[t]);
    }
}

void ReferenceBackend::top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) {
    contracts::top_log_probabilities(logits, top);
    std::span<float const> const row(logits.row<float>(0), logits.cols);
    auto const candidates = sorted_candidates(row);
    for (std::size_t i = 0; i < top.size(); ++i) {
        std::int32_t const token = candidates[i].token;
        top[i] = {.token = token, .logprob = log_probability(row, token)};
    }
}

void ReferenceBackend::top_logits(ConstTensorView logits, std::size_t count,
                                  std::span<TokenLogit> top, std::span<float> log_sums) {
    contracts::top_logits(logits, count, top, log_sums);
    for (std::size_t b = 0; b < logits.rows; ++b) {
        std::span<float const> const row(logits.row<float>(b), logits.cols);
        auto const candidates = sorted_candidates(row);
        for (std::size_t i = 0; i < count; ++i) {
            auto const token = candidates[i].token;
            top[b * count + i] = {token, row[static_cast<std::size_t>(token)]};
        }
        LogSum const sum(row);
        log_sums[b] = static_cast<float>(static_cast<double>(sum.largest) + sum.logarithm);
    }
}

}  // namespace tesserank::kernels::reference
