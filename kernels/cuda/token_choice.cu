#include "kernels/cuda/device/grid.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/token_kernels.cuh"
#include "kernels/cuda/token_search.cuh"

#include <cmath>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

/// The running sum reaches `share` of the total just when it exceeds the result.
__device__ std::uint64_t target_of_share(float share, std::uint64_t total) {
    double const wanted = ceil(static_cast<double>(share) * static_cast<double>(total));
    if (!(wanted >= 1.0)) return 0;
    return min(static_cast<std::uint64_t>(wanted), total) - 1;
}

/// Each limit keeps a prefix of the tokens by falling likelihood, so that the next one needs to
/// know no more than the prefix's weight.
template <class Rows>
__device__ std::uint64_t draw_token(TokenSearch<Rows>& search, ChoiceRule const& rule,
                                    std::uint64_t weight_of_first) {
    std::uint64_t total = search.total(Measure::weight);
    std::uint64_t last = 0;
    if (rule.top_k > 0 && rule.top_k < search.total(Measure::count)) {
        last = search.find(Measure::count, rule.top_k - 1);
        total = search.weight_down_to(last, INFINITY);
    }
    if (rule.top_p < 1.0F) {
        last = search.find(Measure::weight, target_of_share(rule.top_p, total));
    }
    if (rule.top_p < 1.0F || rule.min_p > 0.0F) {
        double const reach =
            rule.min_p > 0.0F ? -log(static_cast<double>(rule.min_p)) : double{INFINITY};
        total = max(search.weight_down_to(last, reach), weight_of_first);
    }
    auto const target = static_cast<std::uint64_t>(rule.uniform * static_cast<double>(total));
    return search.find(Measure::weight, min(target, total - 1));
}

template <class Rows>
__global__ void __launch_bounds__(search_width)
    choose_token(Rows rows, ChoiceRules rules, DecodeOutput* chosen) {
    __shared__ SearchMemory memory;
    std::size_t const b = blockIdx.x;
    wait_for_previous_grid();
    let_next_grid_start();
    ChoiceRule const rule = rules.of(b);
    if (rule.ended != 0) {
        if (threadIdx.x == 0) chosen[b] = {.token = -1, .logprob = 0.0F};
        return;
    }
    RowSummary const summary = rows.summary(b, memory.block);
    std::uint64_t number = summary.best;
    if (!rule.greedy()) {
        auto const scale =
            WeightScale::of(rows.order.logit(summary.best), rule.temperature, rows.size());
        TokenSearch<Rows> search(rows, b, rules.penalty(b), scale, Measure::weight, memory);
        number = draw_token(search, rule, scale.weight(scale.largest));
    }
    if (threadIdx.x == 0) {
        chosen[b] = {.token = rows.order.token(number),
                     .logprob = summary.sum.log_probability(rows.logit(b, number))};
    }
}

template <class Rows>
void launch_choice(Rows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream) {
    launch_dependent(choose_token<Rows>,
                     {.grid = dim3(static_cast<unsigned>(rows)), .block = dim3(search_width)},
                     stream, from, rules, chosen);
}

}  // namespace

void choose_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream) {
    launch_choice(from, rows, rules, chosen, stream);
}

void choose_tokens(CandidateRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream) {
    launch_choice(from, rows, rules, chosen, stream);
}

}  // namespace tesserank::kernels::cuda
