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

__device__ std::uint64_t target_of_draw(ChoiceRule const& rule, std::uint64_t total) {
    auto const target = static_cast<std::uint64_t>(rule.uniform * static_cast<double>(total));
    return min(target, total - 1);  // the product may round up
}

/// How far below the most likely token min_p lets others be.
__device__ double reach_of(ChoiceRule const& rule) {
    return rule.min_p > 0.0F ? -log(static_cast<double>(rule.min_p)) : double{INFINITY};
}

/// All tokens that the first limit leaves lie in this part or before it.
template <class Rows>
__device__ unsigned last_part(TokenSearch<Rows>& search, ChoiceRule const& rule, bool top_k,
                              std::uint64_t total) {
    if (top_k) return search.part_of(Measure::count, rule.top_k - 1);
    if (rule.top_p < 1.0F) {
        return search.part_of(Measure::weight, target_of_share(rule.top_p, total));
    }
    if (rule.min_p > 0.0F) return WeightScale::part_within(reach_of(rule));
    return search.part_of(Measure::weight, target_of_draw(rule, total));
}

/// Each limit keeps a prefix of the tokens by falling likelihood, so that the next one needs to
/// know no more than the prefix's weight.
template <class Rows>
__device__ std::uint64_t draw_token(TokenSearch<Rows>& search, ChoiceRule const& rule,
                                    std::uint64_t weight_of_first) {
    std::uint64_t total = search.total(Measure::weight);
    bool const top_k = rule.top_k > 0 && rule.top_k < search.total(Measure::count);
    search.search_down_to(last_part(search, rule, top_k, total));
    std::uint64_t last = 0;
    if (top_k) {
        last = search.find(Measure::count, rule.top_k - 1);
        total = search.weight_down_to(last, INFINITY);
    }
    if (rule.top_p < 1.0F) {
        last = search.find(Measure::weight, target_of_share(rule.top_p, total));
    }
    if (rule.top_p < 1.0F || rule.min_p > 0.0F) {
        total = max(search.weight_down_to(last, reach_of(rule)), weight_of_first);
    }
    return search.find(Measure::weight, target_of_draw(rule, total));
}

/// Joins the counts of a row's blocks; true in the last one to come, which has the whole of them in
/// memory.all.
__device__ bool meet(MeetingPlace& place, unsigned blocks, SearchMemory& memory) {
    unsigned const part = threadIdx.x;
    if (std::uint32_t const count = memory.all.counts[part]; count > 0) {
        place.all.add(part, memory.all.amount(Measure::weight, part), count);
    }
    __syncthreads();
    if (part == 0) {
        // One thread's fences stand for all: the barriers order what the others do.
        __threadfence();
        memory.before_me = atomicAdd(&place.arrived, 1U);
        __threadfence();
    }
    __syncthreads();
    if (memory.before_me != blocks - 1) return false;
    memory.all.counts[part] = __ldcg(&place.all.counts[part]);
    memory.all.low[part] = __ldcg(&place.all.low[part]);
    memory.all.high[part] = __ldcg(&place.all.high[part]);
    __syncthreads();
    return true;
}

/// The blocks of a row count its tokens together, and the last one goes on alone.
template <class Rows>
__global__ void __launch_bounds__(search_width, 1)
    choose_token(Rows rows, ChoiceRules rules, DecodeOutput* chosen) {
    __shared__ SearchMemory memory;
    std::size_t const b = blockIdx.x;
    let_next_grid_start();
    wait_for_previous_grid();
    ChoiceRule const rule = rules.of(b);
    if (blockIdx.y > 0 && (rule.ended != 0 || rule.greedy())) return;
    if (rule.ended != 0) {
        if (threadIdx.x == 0) chosen[b] = {.token = -1, .logprob = 0.0F};
        return;
    }
    RowSummary const summary = rows.summary(b, memory.block);
    std::uint64_t number = summary.best;
    if (number == 0) {
        if (threadIdx.x == 0) chosen[b] = {.token = -1, .logprob = NAN};
        return;
    }
    if (!rule.greedy()) {
        auto const scale =
            WeightScale::of(rows.order.logit(summary.best), rule.temperature, rows.size());
        TokenSearch<Rows> search(rows, b, rules.penalty(b), scale, memory);
        search.count_tokens(Measure::weight, blockIdx.y, gridDim.y);
        if (gridDim.y > 1 && !meet(rules.meeting_places[b], gridDim.y, memory)) return;
        number = draw_token(search, rule, scale.weight(scale.largest));
    }
    if (threadIdx.x == 0) {
        float const logit = rows.logit(b, number);
        float const logprob = summary.sum.log_probability(logit);
        // A NaN spoils the sum; an infinity is the most likely token. A sequence of the device's
        // own ends there, of sample() the caller decides.
        bool const refused =
            rules.given == nullptr && !(std::isfinite(logprob) && std::isfinite(logit));
        chosen[b] = refused ? DecodeOutput{.token = -1, .logprob = NAN}
                            : DecodeOutput{.token = rows.order.token(number), .logprob = logprob};
    }
}

}  // namespace

void choose_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream) {
    launch_dependent(choose_token<LogitRows>,
                     {.grid = dim3(static_cast<unsigned>(rows), rules.blocks_per_row),
                      .block = dim3(search_width)},
                     stream, from, rules, chosen);
}

void choose_tokens(CandidateRows const& from, std::size_t rows, ChoiceRules const& rules,
                   DecodeOutput* chosen, cudaStream_t stream) {
    launch_dependent(choose_token<CandidateRows>,
                     {.grid = dim3(static_cast<unsigned>(rows)), .block = dim3(search_width)},
                     stream, from, rules, chosen);
}

}  // namespace tesserank::kernels::cuda
