#include "kernels/kokkos/candidates.hpp"

#include "kernels/kokkos/isa/exponential.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tesserank::kernels::kokkos {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

float without_nan(float logit) { return std::isnan(logit) ? lowest : logit; }

/// In several maxima side by side: one chain would wait for itself.
float largest_of(std::span<float const> logits) {
    std::array<float, 16> largest{};
    largest.fill(lowest);
    std::size_t i = 0;
    for (; i + largest.size() <= logits.size(); i += largest.size()) {
        for (std::size_t lane = 0; lane < largest.size(); ++lane) {
            float const logit = logits[i + lane];
            largest[lane] = logit > largest[lane] ? logit : largest[lane];
        }
    }
    for (; i < logits.size(); ++i) largest[0] = std::max(largest[0], without_nan(logits[i]));
    return *std::max_element(largest.begin(), largest.end());
}

}  // namespace

void find_best(std::span<float const> logits, std::size_t count, std::vector<Candidate>& best) {
    best.clear();
    count = std::min(count, logits.size());
    if (count == 0) return;
    auto const keep_best = [&] {
        auto const last = best.begin() + static_cast<std::ptrdiff_t>(count);
        std::nth_element(best.begin(), last - 1, best.end());
        best.erase(last, best.end());
    };
    // Candidates gather until there are twice as many as wanted; of them the better half stays and
    // its worst is what a later token must beat. Ids rise, so that a later equal does not.
    std::size_t const capacity = std::min(2 * count, logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        float const logit = without_nan(logits[i]);
        if (best.size() >= count && !(logit > best[count - 1].logit)) continue;
        best.push_back({.logit = logit, .token = static_cast<std::int32_t>(i)});
        if (best.size() == count || best.size() >= capacity) keep_best();
    }
    keep_best();
    std::sort(best.begin(), best.end());
}

Candidate find_largest(std::span<float const> logits) {
    float const largest = largest_of(logits);
    auto const place = std::find_if(logits.begin(), logits.end(),
                                    [=](float logit) { return without_nan(logit) == largest; });
    return {.logit = largest, .token = static_cast<std::int32_t>(place - logits.begin())};
}

LogSum::LogSum(std::span<float const> logits) : largest(largest_of(logits)) {
    std::array<double, 8> sums{};
    constexpr std::size_t block = 16;
    for (std::size_t i = 0; i < logits.size(); i += block) {
        std::array<float, block> weights{};
        std::size_t const count = std::min(block, logits.size() - i);
        for (std::size_t lane = 0; lane < count; ++lane) {
            float const logit = logits[i + lane];
            float const weight = isa::exponential<isa::Scalar>(logit - largest);
            weights[lane] = logit == largest ? 1.0F : weight;
        }
        for (std::size_t lane = 0; lane < block; ++lane) {
            sums[lane % sums.size()] += static_cast<double>(weights[lane]);
        }
    }
    double sum = 0.0;
    for (double const part : sums) sum += part;
    logarithm = static_cast<float>(std::log(sum));
}

float LogSum::log_probability(float logit) const {
    return (logit == largest ? 0.0F : logit - largest) - logarithm;
}

}  // namespace tesserank::kernels::kokkos
