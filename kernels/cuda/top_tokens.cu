#include "kernels/cuda/device/grid.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/token_kernels.cuh"
#include "kernels/cuda/token_search.cuh"

#include <cmath>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

/// One row's place in TopTokens.
template <class Rows, class Token>
struct TopRow {
    Rows const& rows;
    TopTokens<Token> const& to;
    std::size_t b;
    LogSum sum;

    __device__ void put(std::size_t rank, std::uint64_t number) const {
        float const logit = rows.logit(b, number);
        std::int32_t const token = rows.order.token(number) + to.first_id;
        if constexpr (TopTokens<Token>::has_sum) {
            place(rank) = {.token = token, .logit = logit};
        } else {
            place(rank) = {.token = token, .logprob = sum.log_probability(logit)};
        }
    }
    __device__ void put_none(std::size_t first_rank) const {
        for (std::size_t rank = first_rank + threadIdx.x; rank < to.count; rank += blockDim.x) {
            place(rank) = {-1, -INFINITY};
        }
    }
    __device__ void put_sum() const {
        if constexpr (TopTokens<Token>::has_sum) {
            if (threadIdx.x == 0) place(to.count) = {.token = -1, .logit = sum.logarithm()};
        }
    }
    __device__ Token& place(std::size_t rank) const { return to.top[b * to.per_row() + rank]; }
};

template <class Rows, class Token>
__global__ void __launch_bounds__(search_width, 1)
    find_top(Rows rows, ChoiceRules rules, TopTokens<Token> to) {
    __shared__ SearchMemory memory;
    std::size_t const b = blockIdx.x;
    let_next_grid_start();
    wait_for_previous_grid();
    TopRow<Rows, Token> top{rows, to, b, {}};
    if (rules.ended(b)) return top.put_none(0);
    RowSummary const summary = rows.summary(b, memory.block);
    top.sum = summary.sum;
    top.put_sum();
    if (to.count == 0 || summary.likeliest == 0) return top.put_none(0);
    if (to.count == 1) {
        if (threadIdx.x == 0) top.put(0, summary.likeliest);
        return;
    }
    auto const scale = WeightScale::of(rows.order.logit(summary.likeliest), 1.0F, rows.size());
    TokenSearch<Rows> search(rows, b, {}, scale, memory);
    search.count_tokens(Measure::count, 0, 1);
    std::size_t const found = min(std::uint64_t{to.count}, search.total(Measure::count));
    search.search_down_to(search.part_of(Measure::count, found - 1));
    if (search.all_sorted()) {
        if (threadIdx.x < found) top.put(threadIdx.x, memory.sorted[threadIdx.x]);
        return top.put_none(found);
    }
    std::uint64_t highest = summary.likeliest;
    for (std::size_t first = 0; first < found; first += search_width) {
        std::size_t const size = min(found - first, std::size_t{search_width});
        std::uint64_t const last = search.find(Measure::count, first + size - 1);
        search.sort({last, highest});
        if (threadIdx.x < size) top.put(first + threadIdx.x, memory.sorted[threadIdx.x]);
        highest = last - 1;
    }
    top.put_none(found);
}

template <class Rows, class Token>
void launch_top(Rows const& from, std::size_t rows, ChoiceRules const& rules,
                TopTokens<Token> const& to, cudaStream_t stream) {
    launch_dependent(find_top<Rows, Token>,
                     {.grid = dim3(static_cast<unsigned>(rows)), .block = dim3(search_width)},
                     stream, from, rules, to);
}

}  // namespace

void find_top_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogit> const& to, cudaStream_t stream) {
    launch_top(from, rows, rules, to, stream);
}

void find_top_tokens(LogitRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogprob> const& to, cudaStream_t stream) {
    launch_top(from, rows, rules, to, stream);
}

void find_top_tokens(CandidateRows const& from, std::size_t rows, ChoiceRules const& rules,
                     TopTokens<TokenLogprob> const& to, cudaStream_t stream) {
    launch_top(from, rows, rules, to, stream);
}

}  // namespace tesserank::kernels::cuda
