#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::kernels::kokkos {

struct Candidate {
    float logit = 0.0F;
    std::int32_t token = 0;

    /// More likely first, on ties the lower id. A NaN counts as the least likely.
    friend bool operator<(Candidate const& a, Candidate const& b) {
        return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
    }
};

/// The `count` most likely tokens, most likely first, without sorting the vocabulary. Replaces
/// what `best` holds; its memory is reused.
void find_best(std::span<float const> logits, std::size_t count, std::vector<Candidate>& best);

/// The most likely token.
Candidate find_largest(std::span<float const> logits);

/// log sum e^logit; NaN when there is a NaN. Finite or infinite logits never give one.
struct LogSum {
    float largest = 0.0F;
    float logarithm = 0.0F;  ///< of the sum of e^(logit - largest)

    explicit LogSum(std::span<float const> logits);
    /// log softmax
    float log_probability(float logit) const;
};

}  // namespace tesserank::kernels::kokkos
