#pragma once

#include "kernels/cuda/block_reduction.cuh"
#include "kernels/cuda/token_order.cuh"

#include <cmath>
#include <cstdint>

/// Finds, in one row, the token at which a running count or a running sum of weights passes a
/// target, from the most to the least likely token: what top_k, top_p and a draw ask for. Nothing
/// as long as a vocabulary is sorted: a histogram says which tokens may be it, and those few are
/// sorted. Weights are integers, so that no sum depends on the order of its terms; they are as
/// exact as e^x in f32, so that only a target within 1e-6 of the border of two tokens can miss the
/// host's.
namespace tesserank::kernels::cuda {

/// Threads of a block that searches, parts of a histogram, and tokens that are sorted at once.
inline constexpr unsigned search_width = 1024;

/// How far below the largest logit tokens are, and what they weigh: e^-distance.
struct WeightScale {
    float largest = 0.0F;
    float temperature = 1.0F;
    float one = 1.0F;  ///< the weight at distance 0

    /// The weights of so many tokens fit 62 bits together.
    __device__ static WeightScale of(float largest, float temperature, std::uint32_t tokens) {
        return {largest, temperature,
                static_cast<float>(std::uint64_t{1} << (62 - width_of(tokens)))};
    }

    __device__ float distance(float logit) const {
        if (logit != logit) logit = -INFINITY;
        // Equal infinities have no difference.
        return logit == largest ? 0.0F : (largest - logit) / temperature;
    }
    __device__ std::uint64_t weight(float logit) const {
        return static_cast<std::uint64_t>(expf(-distance(logit)) * one);
    }
    /// Parts of a histogram by distance; the last one takes all whose weight hardly counts.
    __device__ unsigned part(float logit) const {
        constexpr float parts_per_unit = 32.0F;
        return static_cast<unsigned>(
            fminf(distance(logit) * parts_per_unit, static_cast<float>(search_width - 1)));
    }
};

enum class Measure : std::uint8_t { count, weight };

/// Counts and weights of tokens by parts, the most likely part first.
struct TokenHistogram {
    std::uint32_t counts[search_width];
    std::uint32_t low[search_width], high[search_width];  ///< of the weights

    __device__ void clear() {
        __syncthreads();  // earlier readers
        counts[threadIdx.x] = low[threadIdx.x] = high[threadIdx.x] = 0;
        __syncthreads();
    }
    /// With 32-bit additions, which shared memory does at once; of 64 bits it retries them.
    __device__ void add(unsigned part, std::uint64_t weight) {
        atomicAdd(&counts[part], 1U);
        if (weight == 0) return;
        auto const below = static_cast<std::uint32_t>(weight);
        bool const carry = atomicAdd(&low[part], below) > ~below;
        auto const above = static_cast<std::uint32_t>(weight >> 32) + (carry ? 1U : 0U);
        if (above != 0) atomicAdd(&high[part], above);
    }
    __device__ std::uint64_t amount(Measure measure, unsigned part) const {
        if (measure == Measure::count) return counts[part];
        return (std::uint64_t{high[part]} << 32) | low[part];
    }
};

struct SearchMemory {
    TokenHistogram all, some;
    std::uint64_t sorted[search_width];
    BlockMemory block;
    std::uint32_t place, ends[2];
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

/// All threads of a block of search_width threads make the same calls.
template <class Rows>
class TokenSearch {
  public:
    /// `penalty` makes logits what is searched; with `most` count, weights are not to be asked for.
    __device__ TokenSearch(Rows const& rows, std::size_t row, Penalty penalty, WeightScale scale,
                           Measure most, SearchMemory& memory)
        : rows_{rows}, row_{row}, penalty_{penalty}, scale_{scale}, memory_{memory} {
        memory.all.clear();
        visit([&](float logit, std::uint32_t) {
            memory.all.add(scale.part(logit), most == Measure::weight ? scale.weight(logit) : 0);
        });
        __syncthreads();
    }

    /// Of all tokens.
    __device__ std::uint64_t total(Measure measure) {
        return block_total(memory_.all.amount(measure, threadIdx.x), memory_.block);
    }

    /// The number of the first token, in order of falling numbers, with which the running amount
    /// exceeds `target`, which is less than the total.
    __device__ std::uint64_t find(Measure measure, std::uint64_t target) {
        target -= pick(memory_.all.amount(measure, threadIdx.x), target);
        unsigned const part = memory_.place;
        std::uint32_t count = memory_.all.counts[part];
        Interval interval = interval_of(part);
        while (count > search_width) {
            unsigned const shift = narrow(interval, measure);
            target -= pick(memory_.some.amount(measure, threadIdx.x), target);
            count = memory_.some.counts[memory_.place];
            interval.last -= std::uint64_t{memory_.place} << shift;
            std::uint64_t const width = (std::uint64_t{1} << shift) - 1;
            if (interval.last - interval.first > width) interval.first = interval.last - width;
        }
        sort(interval);
        std::uint64_t const mine = memory_.sorted[threadIdx.x];
        bool const weighs = mine != 0 && measure == Measure::weight;
        pick(weighs ? scale_.weight(rows_.order.logit(mine)) : mine != 0 ? 1 : 0, target);
        return memory_.sorted[memory_.place];
    }

    /// The weight of the tokens from `last`, a number, on, and not further away than `reach`.
    __device__ std::uint64_t weight_down_to(std::uint64_t last, double reach) {
        std::uint64_t sum = 0;
        visit([&](float logit, std::uint32_t token) {
            if (number(logit, token) < last) return;
            if (static_cast<double>(scale_.distance(logit)) <= reach) sum += scale_.weight(logit);
        });
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
        memory_.place = 0;
        __syncthreads();
        visit([&](float logit, std::uint32_t token) {
            std::uint64_t const its = number(logit, token);
            if (its >= within.first && its <= within.last) {
                memory_.sorted[atomicAdd(&memory_.place, 1U)] = its;
            }
        });
        __syncthreads();
        unsigned size = 1;
        while (size < memory_.place) size *= 2;
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

    /// Puts into memory.place the thread with whose amount the running sum exceeds `target`;
    /// returns the sum before it.
    __device__ std::uint64_t pick(std::uint64_t amount, std::uint64_t target) {
        std::uint64_t const sum = block_running_sum(amount, memory_.block);
        if (sum > target && sum - amount <= target) {
            memory_.place = threadIdx.x;
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
};

}  // namespace tesserank::kernels::cuda
