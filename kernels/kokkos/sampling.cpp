#include "kernels/contracts.hpp"
#include "kernels/kokkos/candidates.hpp"
#include "kernels/kokkos/isa/exponential.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace tesserank::kernels::kokkos {
namespace {

/// Likely tokens that are looked at first; eight times as many when they do not decide.
constexpr std::size_t first_candidates = 64;

/// What one thread needs to choose from one row, kept between calls.
struct Workspace {
    std::vector<float> logits;
    std::vector<Candidate> best;
    std::vector<double> weights;
};

/// The candidates' weights: their probabilities times one unknown factor; the first has 1.
struct Weights {
    std::span<double const> of_best;
    double total = 0.0;     ///< of all candidates, those behind of_best too
    bool complete = false;  ///< of_best holds all candidates
};

void penalize(std::span<float const> logits, SamplingParams const& params,
              std::vector<float>& penalized) {
    penalized.assign(logits.begin(), logits.end());
    for (std::int32_t const token : params.seen) {
        auto const index = static_cast<std::size_t>(token);
        if (token < 0 || index >= logits.size()) continue;
        float const logit = logits[index];
        penalized[index] =
            logit > 0.0F ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
}

double weight_of(float logit, float largest, float temperature) {
    return logit == largest ? 1.0 : std::exp(static_cast<double>((logit - largest) / temperature));
}

double total_weight(std::span<float const> logits, float largest, float temperature) {
    double total = 0.0;
    constexpr std::size_t block = 1024;
    for (std::size_t first = 0; first < logits.size(); first += block) {
        for (float const logit : logits.subspan(first, std::min(block, logits.size() - first))) {
            float const weight = isa::exponential<isa::Scalar>((logit - largest) / temperature);
            total += static_cast<double>(logit == largest ? 1.0F : logit < largest ? weight : 0.0F);
        }
    }
    return total;
}

/// How many of the leading candidates top_p and min_p leave, and their weight.
struct Kept {
    std::size_t count = 0;
    double weight = 0.0;
};

/// nullopt when more candidates are needed to tell.
std::optional<Kept> keep(Weights const& weights, SamplingParams const& params) {
    if (params.top_p >= 1.0F && params.min_p <= 0.0F) {
        return Kept{weights.of_best.size(), weights.total};
    }
    Kept kept;
    for (double const weight : weights.of_best) {
        if (kept.count > 0 && weight < static_cast<double>(params.min_p)) return kept;
        kept.weight += weight;
        ++kept.count;
        bool const limited = params.top_p < 1.0F;
        if (limited && kept.weight >= static_cast<double>(params.top_p) * weights.total) {
            return kept;
        }
    }
    return weights.complete ? std::optional(kept) : std::nullopt;
}

/// The index of the candidate that the draw falls on; nullopt when it lies behind of_best.
std::optional<std::size_t> draw(Weights const& weights, SamplingParams const& params) {
    auto const kept = keep(weights, params);
    if (!kept) return std::nullopt;
    double sum = 0.0;
    for (std::size_t i = 0; i < kept->count; ++i) {
        sum += weights.of_best[i];
        if (sum > params.uniform * kept->weight) return i;
    }
    // Rounding can leave the sum a little short of the whole.
    bool const all = weights.complete || kept->count < weights.of_best.size();
    return all ? std::optional(kept->count - 1) : std::nullopt;
}

std::int32_t choose(std::span<float const> logits, SamplingParams const& params, Workspace& space) {
    if (params.repetition_penalty != 1.0F && !params.seen.empty()) {
        penalize(logits, params, space.logits);
        logits = space.logits;
    }
    Candidate const largest = find_largest(logits);
    if (params.temperature <= 0.0F || params.top_k == 1) return largest.token;
    bool const limited = params.top_k > 0 && params.top_k <= logits.size();
    std::size_t const all = limited ? params.top_k : logits.size();
    double total = limited ? 0.0 : total_weight(logits, largest.logit, params.temperature);
    for (std::size_t count = limited ? all : first_candidates;; count *= 8) {
        find_best(logits, count, space.best);
        space.weights.clear();
        for (Candidate const& candidate : space.best) {
            space.weights.push_back(weight_of(candidate.logit, largest.logit, params.temperature));
        }
        bool const complete = space.best.size() == all;
        if (complete) {
            total = 0.0;
            for (double const weight : space.weights) total += weight;
        }
        auto const index = draw({space.weights, total, complete}, params);
        if (index) return space.best[*index].token;
    }
}

}  // namespace

void KokkosBackend::sample(ConstTensorView logits, std::span<SamplingParams const> params,
                           std::span<TokenLogprob> chosen) {
    contracts::sample(logits, params, chosen);
    parallel_for("sample", logits.rows, [=](std::size_t b) {
        thread_local Workspace space;
        std::span<float const> const row(logits.row<float>(b), logits.cols);
        std::int32_t const token = choose(row, params[b], space);
        float const logit = row[static_cast<std::size_t>(token)];
        chosen[b] = {.token = token, .logprob = LogSum(row).log_probability(logit)};
    });
}

void KokkosBackend::log_probabilities(ConstTensorView logits, std::span<std::int32_t const> tokens,
                                      std::span<float> logprobs) {
    contracts::log_probabilities(logits, tokens, logprobs);
    parallel_for("log_probabilities", logits.rows, [=](std::size_t t) {
        std::span<float const> const row(logits.row<float>(t), logits.cols);
        logprobs[t] = LogSum(row).log_probability(row[static_cast<std::size_t>(tokens[t])]);
    });
}

void KokkosBackend::top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) {
    contracts::top_log_probabilities(logits, top);
    std::span<float const> const row(logits.row<float>(0), logits.cols);
    std::vector<Candidate> best;
    find_best(row, top.size(), best);
    LogSum const sum(row);
    for (std::size_t i = 0; i < top.size(); ++i) {
        float const logit = row[static_cast<std::size_t>(best[i].token)];
        top[i] = {.token = best[i].token, .logprob = sum.log_probability(logit)};
    }
}

void KokkosBackend::top_logits(ConstTensorView logits, std::size_t count, std::span<TokenLogit> top,
                               std::span<float> log_sums) {
    contracts::top_logits(logits, count, top, log_sums);
    parallel_for("top_logits", logits.rows, [=](std::size_t b) {
        thread_local Workspace space;
        std::span<float const> const row(logits.row<float>(b), logits.cols);
        if (count == 1) {
            space.best.assign(1, find_largest(row));
        } else {
            find_best(row, count, space.best);
        }
        for (std::size_t i = 0; i < count; ++i) {
            auto const token = space.best[i].token;
            top[b * count + i] = {token, row[static_cast<std::size_t>(token)]};
        }
        LogSum const sum(row);
        log_sums[b] = sum.largest + sum.logarithm;
    });
}

}  // namespace tesserank::kernels::kokkos
