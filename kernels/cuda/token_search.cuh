#pragma once

#include "kernels/cuda/block_reduction.cuh"
#include "kernels/cuda/token_histogram.cuh"
#include "kernels/cuda/token_order.cuh"
#include "kernels/cuda/token_source.cuh"

#include <cstddef>
#include <cstdint>

/// Finds, in one row, the token at which a running count or a running sum of weights passes a
/// target, from the most to the least likely token: what top_k, top_p and a draw ask for. Nothing
/// as long as a vocabulary is sorted: a histogram says which tokens may be it, and those few are
/// sorted. Weights are integers, so that no sum depends on the order of its terms; they are as
/// exact as e^x in f32, so that only a target within 1e-6 of the border of two tokens can miss the
/// host's.
namespace tesserank::kernels::cuda {

struct SearchMemory {
    TokenHistogram all, some;
    std::uint64_t sorted[search_width];
    BlockMemory block;
    std::uint32_t before_me;     ///< blocks of the row that came first
    std::uint32_t sorted_count;  ///< tokens in `sorted`
    std::uint32_t picked;        ///< the thread that pick() found
    std::uint32_t ends[2];
    std::uint64_t before;
};

/// Sorts memory.sorted[0 .. size), the largest first; size is a power of two.
__device__ inline void sort_falling(SearchMemory& memory, unsigned size) {
    unsigned const i = threadIdx.x;
    for (unsigned run = 2; run <= size; run *= 2) {
        for (unsigned distance = run / 2; distance > 0; distance /= 2) {
            __syncthreads();
            unsigned const other = i ^ distance;
            if (i >= size || other < i) continue;
            std::uint64_t const mine = memory.sorted[i], its = memory.sorted[other];
            bool const falling = (i & run) == 0;
            if (falling ? mine < its : mine > its) {
                memory.sorted[i] = its;
                memory.sorted[other] = mine;
            }
        }
    }
    __syncthreads();
}

/// All threads of a block of search_width threads make the same calls. What is searched are logits
/// after `penalty`. Needs memory.all to be made first: by count_tokens().
template <class Rows>
class TokenSearch {
  public:
    __device__ TokenSearch(Rows const& rows, std::size_t row, Penalty penalty, WeightScale scale,
                           SearchMemory& memory)
        : rows_{rows}, row_{row}, penalty_{penalty}, scale_{scale}, memory_{memory} {}

    /// Makes memory.all of one of equal `shares` of the tokens; with `most` count, without weights.
    /// The last part often takes most tokens: a warp adds all of its own at once.
    __device__ void count_tokens(Measure most, unsigned share, unsigned shares) {
        constexpr unsigned far = search_width - 1;
        std::uint64_t far_tokens = 0, far_weight = 0;
        memory_.all.clear();
        rows_.visit_share(row_, share, shares, [&](float logit, std::uint32_t token) {
            float const its = penalty_(logit, token);
            unsigned const part = scale_.part(its);
            std::uint64_t const weight = most == Measure::weight ? scale_.weight(its) : 0;
            if (part == far) {
                ++far_tokens;
                far_weight += weight;
            } else {
                memory_.all.add(part, weight);
            }
        });
        auto const sum = [](std::uint64_t a, std::uint64_t b) { return a + b; };
        far_tokens = warp_reduce(far_tokens, sum);
        far_weight = warp_reduce(far_weight, sum);
        if (threadIdx.x % warp_size == 0 && far_tokens > 0) {
            memory_.all.add(far, far_weight, static_cast<std::uint32_t>(far_tokens));
        }
        __syncthreads();
    }

    /// Of all tokens.
    __device__ std::uint64_t total(Measure measure) {
        return block_total(memory_.all.amount(measure, threadIdx.x), memory_.block);
    }

    /// The part in which the running amount exceeds `target`, which is less than the total.
    __device__ unsigned part_of(Measure measure, std::uint64_t target) {
        pick(memory_.all.amount(measure, threadIdx.x), target);
        return memory_.picked;
    }

    /// Says that no token behind `part` will be found: if few are before it, they are sorted once.
    __device__ void search_down_to(unsigned part) {
        std::uint64_t const count = threadIdx.x <= part ? memory_.all.counts[threadIdx.x] : 0;
        if (block_total(count, memory_.block) > search_width) return;
        sort({interval_of(part).first, ~std::uint64_t{0}});
        sorted_ = true;
    }

    /// Whether search_down_to() has left all of these in memory.sorted, the most likely first.
    __device__ bool all_sorted() const { return sorted_; }

    /// The number of the first token, in order of falling numbers, with which the running amount
    /// exceeds `target`, which is less than the total.
    __device__ std::uint64_t find(Measure measure, std::uint64_t target) {
        if (!sorted_) {
            Interval const interval = interval_around(measure, target);
            sort(interval);
        }
        std::uint64_t const mine = memory_.sorted[threadIdx.x];
        bool const weighs = mine != 0 && measure == Measure::weight;
        pick(weighs ? scale_.weight(rows_.order.logit(mine)) : mine != 0 ? 1 : 0, target);
        return memory_.sorted[memory_.picked];
    }

    /// The weight of the tokens from `last`, a number, on, and not further away than `reach`.
    __device__ std::uint64_t weight_down_to(std::uint64_t last, double reach) {
        auto const weight_of = [&](std::uint64_t its, float logit) -> std::uint64_t {
            bool const near = static_cast<double>(scale_.distance(logit)) <= reach;
            return its >= last && near ? scale_.weight(logit) : 0;
        };
        std::uint64_t sum = 0;
        if (sorted_) {
            std::uint64_t const mine = memory_.sorted[threadIdx.x];
            if (mine != 0) sum = weight_of(mine, rows_.order.logit(mine));
        } else {
            visit([&](float logit, std::uint32_t token) {
                sum += weight_of(number(logit, token), logit);
            });
        }
        return block_total(sum, memory_.block);
    }

    struct Interval {
        std::uint64_t first, last;
    };
    /// Leaves the tokens whose numbers lie within, at most search_width, in memory.sorted, the
    /// most likely first, and 0 behind them.
    __device__ void sort(Interval within) {
        __syncthreads();  // earlier readers
        memory_.sorted[threadIdx.x] = 0;
        memory_.sorted_count = 0;
        __syncthreads();
        visit([&](float logit, std::uint32_t token) {
            std::uint64_t const its = number(logit, token);
            if (its >= within.first && its <= within.last) {
                memory_.sorted[atomicAdd(&memory_.sorted_count, 1U)] = its;
            }
        });
        __syncthreads();
        unsigned size = 1;
        while (size < memory_.sorted_count) size *= 2;
        sort_falling(memory_, size);
    }

  private:
    template <class Visit>
    __device__ void visit(Visit visit_token) const {
        rows_.visit(row_, [&](float logit, std::uint32_t token) {
            visit_token(penalty_(logit, token), token);
        });
    }
    __device__ std::uint64_t number(float logit, std::uint32_t token) const {
        return rows_.order.number(likelihood_of(logit), token);
    }

    /// At most search_width tokens, with the one among them that find() looks for; `target` becomes
    /// what it is within them.
    __device__ Interval interval_around(Measure measure, std::uint64_t& target) {
        target -= pick(memory_.all.amount(measure, threadIdx.x), target);
        unsigned const part = memory_.picked;
        std::uint32_t count = memory_.all.counts[part];
        Interval interval = interval_of(part);
        while (count > search_width) {
            unsigned const shift = narrow(interval, measure);
            target -= pick(memory_.some.amount(measure, threadIdx.x), target);
            count = memory_.some.counts[memory_.picked];
            interval.last -= std::uint64_t{memory_.picked} << shift;
            std::uint64_t const width = (std::uint64_t{1} << shift) - 1;
            if (interval.last - interval.first > width) interval.first = interval.last - width;
        }
        return interval;
    }

    /// Puts into memory.picked the thread with whose amount the running sum exceeds `target`;
    /// returns the sum before it.
    __device__ std::uint64_t pick(std::uint64_t amount, std::uint64_t target) {
        std::uint64_t const sum = block_running_sum(amount, memory_.block);
        if (sum > target && sum - amount <= target) {
            memory_.picked = threadIdx.x;
            memory_.before = sum - amount;
        }
        __syncthreads();
        return memory_.before;
    }

    /// The numbers of the tokens of a part of memory.all.
    __device__ Interval interval_of(unsigned part) {
        unsigned const warp = threadIdx.x / warp_size;
        if (warp < 2) {
            std::uint32_t const end = smallest_before_part(part + warp);
            if (threadIdx.x % warp_size == 0) memory_.ends[warp] = end;
        }
        __syncthreads();
        return {std::uint64_t{memory_.ends[1]} << rows_.order.id_bits,
                (std::uint64_t{memory_.ends[0]} << rows_.order.id_bits) - 1};
    }

    /// The smallest likelihood that belongs to a part before `part`. Found by a warp: each lane
    /// tries one place.
    __device__ std::uint32_t smallest_before_part(unsigned part) const {
        std::uint32_t first = likelihood_of(-INFINITY);
        std::uint32_t last = likelihood_of(scale_.largest) + 1;
        while (first < last) {
            std::uint32_t const step = (last - first - 1) / warp_size + 1;
            std::uint32_t const place = first + threadIdx.x % warp_size * step;
            bool const behind = place < last && scale_.part(logit_of(place)) >= part;
            auto const lanes = static_cast<std::uint32_t>(__popc(__ballot_sync(full_warp, behind)));
            if (lanes == 0) return first;
            last = min(last, first + lanes * step);
            first += (lanes - 1) * step + 1;
        }
        return first;
    }

    /// Makes memory.some of the tokens within, by parts of 2^shift numbers each; returns the shift.
    __device__ unsigned narrow(Interval within, Measure measure) {
        constexpr unsigned part_bits = 10;
        static_assert(search_width == 1U << part_bits);
        unsigned const bits = width_of(within.last - within.first);
        unsigned const shift = bits > part_bits ? bits - part_bits : 0;
        memory_.some.clear();
        visit([&](float logit, std::uint32_t token) {
            std::uint64_t const its = number(logit, token);
            if (its < within.first || its > within.last) return;
            memory_.some.add(static_cast<unsigned>((within.last - its) >> shift),
                             measure == Measure::weight ? scale_.weight(logit) : 0);
        });
        __syncthreads();
        return shift;
    }

    Rows const& rows_;
    std::size_t row_;
    Penalty penalty_;
    WeightScale scale_;
    SearchMemory& memory_;
    bool sorted_ = false;  ///< memory.sorted holds all tokens that can be found
};

}  // namespace tesserank::kernels::cuda
