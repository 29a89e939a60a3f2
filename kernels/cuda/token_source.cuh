#pragma once

#include "kernels/cuda/block_reduction.cuh"
#include "kernels/cuda/token_order.cuh"
#include "kernels/resident_decode.hpp"

#include <cstddef>
#include <cstdint>

/// Where a row's tokens come from: whole logits, or the most likely tokens of each part of the
/// vocabulary. One block reads one row, again and again; from L2 after the first time.
namespace tesserank::kernels::cuda {

/// Makes tokens less likely that a sequence has already.
struct Penalty {
    std::uint32_t const* seen = nullptr;  ///< one bit for each token; null: no penalty
    float factor = 1.0F;

    __device__ float operator()(float logit, std::uint32_t token) const {
        if (seen == nullptr || (seen[token / 32] >> (token % 32) & 1U) == 0) return logit;
        return logit > 0.0F ? logit / factor : logit * factor;
    }
};

/// Of a row or a part of one.
struct RowSummary {
    std::uint64_t best = 0;       ///< TokenOrder's number of the likeliest token after penalties
    std::uint64_t likeliest = 0;  ///< and before
    LogSum sum;
};

/// Rows of logits, whose summaries scan_logits() has made piece by piece.
struct LogitRows {
    float const* data = nullptr;
    std::size_t stride = 0;
    std::uint32_t cols = 0;
    bool vectors = false;  ///< each row is aligned to 16 bytes
    RowSummary const* pieces = nullptr;
    std::uint32_t pieces_per_row = 0;
    TokenOrder order;

    __device__ float const* row(std::size_t b) const { return data + b * stride; }

    /// Calls visit(logit, token) for the tokens first .. last - 1, first a multiple of 4, which the
    /// threads of the block share; each thread's tokens rise.
    template <class Visit>
    __device__ void visit(std::size_t b, std::uint32_t first, std::uint32_t last,
                          Visit visit) const {
        float const* const logits = row(b);
        std::uint32_t i = first;
        if (vectors) {
            std::uint32_t const step = 4 * blockDim.x;
#pragma unroll 4
            for (i += 4 * threadIdx.x; i + 3 < last; i += step) {
                auto const four = *reinterpret_cast<float4 const*>(logits + i);
                visit(four.x, i);
                visit(four.y, i + 1);
                visit(four.z, i + 2);
                visit(four.w, i + 3);
            }
            i = first + (last - first) / 4 * 4;
        }
        for (i += threadIdx.x; i < last; i += blockDim.x) visit(logits[i], i);
    }
    template <class Visit>
    __device__ void visit(std::size_t b, Visit visit_token) const {
        visit(b, 0, cols, visit_token);
    }
    template <class Visit>
    __device__ void visit_share(std::size_t b, unsigned share, unsigned shares,
                                Visit visit_token) const {
        std::uint32_t const tokens = (cols + 4 * shares - 1) / (4 * shares) * 4;
        visit(b, min(cols, share * tokens), min(cols, (share + 1) * tokens), visit_token);
    }

    __device__ std::uint32_t size() const { return cols; }
    /// The few pieces are read by each warp for itself.
    __device__ RowSummary summary(std::size_t b, BlockMemory& /*memory*/) const {
        RowSummary all;
        for (std::uint32_t i = threadIdx.x % warp_size; i < pieces_per_row; i += warp_size) {
            RowSummary const piece = pieces[b * pieces_per_row + i];
            all = {larger(all.best, piece.best), larger(all.likeliest, piece.likeliest),
                   sum_of(all.sum, piece.sum)};
        }
        return {warp_reduce(all.best, larger), warp_reduce(all.likeliest, larger),
                warp_log_sum(all.sum)};
    }
    /// The logit as it was given: a NaN and the sign of a zero are not in its number.
    __device__ float logit(std::size_t b, std::uint64_t number) const {
        return row(b)[order.token(number)];
    }
};

/// The most likely tokens of each part of the vocabulary; see ChoiceSource.
struct CandidateRows {
    TokenLogit const* candidates = nullptr;
    std::uint32_t rows = 0, parts = 0, per_part = 0;
    TokenOrder order;

    template <class Visit>
    __device__ void visit(std::size_t b, Visit visit_token) const {
        for (std::uint32_t i = threadIdx.x; i < size(); i += blockDim.x) {
            TokenLogit const candidate = of_part(i / per_part, b)[i % per_part];
            if (candidate.token >= 0) {
                visit_token(candidate.logit, static_cast<std::uint32_t>(candidate.token));
            }
        }
    }

    /// There are too few for more than one share.
    template <class Visit>
    __device__ void visit_share(std::size_t b, unsigned /*share*/, unsigned /*shares*/,
                                Visit visit_token) const {
        visit(b, visit_token);
    }

    __device__ std::uint32_t size() const { return parts * per_part; }
    __device__ RowSummary summary(std::size_t b, BlockMemory& memory) const {
        std::uint64_t best = 0;
        visit(b, [&](float logit, std::uint32_t token) {
            std::uint64_t const number = order.number(likelihood_of(logit), token);
            if (number > best) best = number;
        });
        best = block_largest(best, memory);
        float sum = -INFINITY;
        for (std::uint32_t part = 0; part < parts; ++part) {
            sum = add_logarithms(sum, of_part(part, b)[per_part].logit);
        }
        return {best, best, {sum, 1.0F}};
    }
    __device__ float logit(std::size_t /*b*/, std::uint64_t number) const {
        return order.logit(number);
    }
    __device__ TokenLogit const* of_part(std::uint32_t part, std::size_t b) const {
        return candidates + (part * std::size_t{rows} + b) * (per_part + 1);
    }
};

}  // namespace tesserank::kernels::cuda
