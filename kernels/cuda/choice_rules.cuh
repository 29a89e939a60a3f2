#pragma once

#include "kernels/cuda/token_histogram.cuh"
#include "kernels/cuda/token_source.cuh"
#include "kernels/philox.hpp"
#include "kernels/resident_decode.hpp"

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// How one row's token is chosen; see SamplingParams.
struct ChoiceRule {
    float temperature = 0.0F, top_p = 1.0F, min_p = 0.0F, repetition_penalty = 1.0F;
    std::uint32_t top_k = 0;
    std::uint32_t ended = 0;
    double uniform = 0.0;

    __device__ static bool greedy(float temperature, std::uint32_t top_k) {
        return temperature <= 0.0F || top_k == 1;
    }
    __device__ bool greedy() const { return greedy(temperature, top_k); }
};

/// Where the blocks that count a row's tokens together meet.
struct MeetingPlace {
    std::uint32_t arrived;
    TokenHistogram all;
};

/// Those of all rows: as the host gave them for one call, or from the rows of a DecodeTable; with
/// neither there are none and all rows run.
struct ChoiceRules {
    ChoiceRule const* given = nullptr;
    DecodeRow const* rows = nullptr;
    std::uint32_t const* seen = nullptr;  ///< [B, seen_words], or null
    std::size_t seen_words = 0;
    unsigned blocks_per_row = 1;             ///< see choosing_blocks()
    MeetingPlace* meeting_places = nullptr;  ///< [B] where a row has more than one block

    __device__ ChoiceRule of(std::size_t b) const {
        if (given != nullptr) return given[b];
        if (rows == nullptr) return {};
        DecodeRow const& row = rows[b];
        return {.temperature = row.temperature,
                .top_p = row.top_p,
                .min_p = row.min_p,
                .repetition_penalty = row.repetition_penalty,
                .top_k = row.top_k,
                .ended = row.ended,
                .uniform = philox_draw(row.seed, row.stream, row.sample, row.chosen)};
    }
    __device__ bool ended(std::size_t b) const { return rows != nullptr && rows[b].ended != 0; }
    /// Whether the blocks of the row will meet.
    __device__ bool meet(std::size_t b) const {
        if (blocks_per_row == 1) return false;
        return given != nullptr ? !given[b].greedy()
                                : !ChoiceRule::greedy(rows[b].temperature, rows[b].top_k);
    }
    __device__ Penalty penalty(std::size_t b) const {
        float const factor = given != nullptr  ? given[b].repetition_penalty
                             : rows != nullptr ? rows[b].repetition_penalty
                                               : 1.0F;
        if (seen == nullptr || factor == 1.0F) return {};
        return {seen + b * seen_words, factor};
    }
};

}  // namespace tesserank::kernels::cuda
