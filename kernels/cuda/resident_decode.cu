#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/grid.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/token_kernels.cuh"

#include <cmath>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

__device__ bool stops(DecodeRow const& row, std::int32_t const* stop_ids, std::int32_t token) {
    for (std::uint32_t i = 0; i < row.stops; ++i) {
        if (stop_ids[row.first_stop + i] == token) return true;
    }
    return false;
}

__device__ void mark_seen(DecodeTable const& table, std::size_t b, std::int32_t token) {
    if (table.seen.size == 0 || token < 0) return;
    std::size_t const words = table.seen.size / table.rows.size;
    auto const id = static_cast<std::uint32_t>(token);
    table.seen.data[b * words + id / 32] |= 1U << (id % 32);
}

/// The segment of this token becomes the next one's.
__device__ void move_on(Segment& segment, bool ends) {
    if (ends) {
        segment.tokens = 0;
    } else {
        ++segment.first_position;
    }
}

/// As model/rope.cpp: the angle is rounded to f32 before the cosine.
__device__ void write_rotary(DecodeTable const& table, std::size_t b, std::uint32_t turn,
                             std::size_t position) {
    std::size_t const half = table.cos_sin.cols / 2;
    auto const* const frequencies =
        reinterpret_cast<float const*>(table.frequencies.data) + turn * table.frequencies.stride;
    auto* const row = reinterpret_cast<float*>(table.cos_sin.data) + b * table.cos_sin.stride;
    for (std::size_t i = threadIdx.x; i < half; i += blockDim.x) {
        float const angle = static_cast<float>(position) * frequencies[i];
        row[i] = cosf(angle) * table.rotary_scale;
        row[half + i] = sinf(angle) * table.rotary_scale;
    }
}

__global__ void advance_row(DecodeOutput const* chosen, DecodeTable table) {
    std::size_t const b = blockIdx.x;
    let_next_grid_start();
    wait_for_previous_grid();
    DecodeRow& row = table.rows.data[b];
    if (row.ended != 0) return;
    std::int32_t const token = chosen[b].token;
    std::size_t const position = table.segments.data[b].first_position + 1;
    bool const ends =
        token < 0 || row.chosen + 1 >= row.most_chosen || stops(row, table.stop_ids.data, token);
    if (!ends) write_rotary(table, b, row.turn, position);
    __syncthreads();  // all have read what the first thread changes
    if (threadIdx.x != 0) return;
    ++row.chosen;
    row.ended = ends ? 1 : 0;
    table.ids.data[b] = max(token, 0);
    mark_seen(table, b, token);
    move_on(table.segments.data[b], ends);
    if (b >= table.first_own && b - table.first_own < table.own.size) {
        move_on(table.own.data[b - table.first_own], ends);
    }
}

}  // namespace

void CudaBackend::top_logits(ConstTensorView logits, std::size_t count, std::int32_t first_id,
                             DeviceSpan<TokenLogit> top) {
    require(top.size == logits.rows * (count + 1),
            "top_logits needs room for the results of each row");
    auto const from =
        scan_logits(logits, {}, scratch(scan_bytes(logits.rows, logits.cols)), stream());
    TopTokens<TokenLogit> const to{.top = top.data, .count = count, .first_id = first_id};
    find_top_tokens(from, logits.rows, {}, to, stream());
}

void CudaBackend::choose(ChoiceSource const& source, DecodeTable const& table,
                         DeviceSpan<DecodeOutput> chosen, std::size_t top_count,
                         DeviceSpan<TokenLogprob> top) {
    std::size_t const rows = table.rows.size;
    require(chosen.size == rows && top.size == rows * top_count,
            "choose needs room for the results of each row");
    if (rows == 0) return;
    ChoiceRules rules;
    rules.rows = table.rows.data;
    TopTokens<TokenLogprob> const to{.top = top.data, .count = top_count};
    if (source.logits.data != nullptr) {
        require(source.logits.rows == rows && source.logits.cols > 0,
                "choose needs a row of logits for each sequence");
        if (table.seen.size > 0) rules.seen = table.seen.data;
        rules.seen_words = table.seen.size / rows;
        rules.blocks_per_row =
            choosing_blocks(rows, source.logits.cols, properties_.multiProcessorCount);
        if (rules.blocks_per_row > 1) {
            rules.meeting_places =
                reinterpret_cast<MeetingPlace*>(scratch(rows * sizeof(MeetingPlace)));
        }
        auto const from = scan_logits(source.logits, rules,
                                      scratch(scan_bytes(rows, source.logits.cols)), stream());
        choose_tokens(from, rows, rules, chosen.data, stream());
        if (top_count > 0) find_top_tokens(from, rows, rules, to, stream());
        return;
    }
    require(source.parts * source.per_part > 0 &&
                source.candidates.size == source.parts * rows * (source.per_part + 1),
            "choose needs candidates and a sum of each part for each sequence");
    CandidateRows const from{.candidates = source.candidates.data,
                             .rows = static_cast<std::uint32_t>(rows),
                             .parts = static_cast<std::uint32_t>(source.parts),
                             .per_part = static_cast<std::uint32_t>(source.per_part),
                             .order = {}};
    choose_tokens(from, rows, rules, chosen.data, stream());
    if (top_count > 0) find_top_tokens(from, rows, rules, to, stream());
}

void CudaBackend::advance(DeviceSpan<DecodeOutput const> chosen, DecodeTable const& table) {
    std::size_t const rows = table.rows.size;
    require(chosen.size == rows && table.ids.size == rows && table.segments.size == rows &&
                table.first_own + table.own.size <= rows,
            "advance needs one chosen token, id and segment for each row");
    require(table.cos_sin.cols == 2 * table.frequencies.cols,
            "advance needs a frequency for each pair of a head");
    launch_dependent(advance_row,
                     {.grid = dim3(static_cast<unsigned>(rows)), .block = dim3(2 * warp_size)},
                     stream(), chosen.data, table);
}

}  // namespace tesserank::kernels::cuda
