#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/grid.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/token_kernels.cuh"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

__global__ void log_probability(LogitRows rows, std::int32_t const* tokens, float* logprobs) {
    __shared__ BlockMemory memory;
    std::size_t const b = blockIdx.x;
    let_next_grid_start();
    wait_for_previous_grid();
    LogSum const sum = rows.summary(b, memory).sum;
    if (threadIdx.x == 0) logprobs[b] = sum.log_probability(rows.row(b)[tokens[b]]);
}

/// Calls work(first row, rows) for parts of the batch whose scratch memory there is.
template <class Work>
void in_parts(std::size_t rows, std::size_t bytes_per_row, Work work) {
    constexpr std::size_t rounding = std::size_t{1} << 20U;  // of the single pieces
    std::size_t const most =
        std::max(std::size_t{1}, (CudaBackend::scratch_capacity - rounding) / bytes_per_row);
    for (std::size_t first = 0; first < rows; first += most) {
        work(first, std::min(most, rows - first));
    }
}

ChoiceRule rule_of(SamplingParams const& params) {
    std::size_t const most = std::numeric_limits<std::uint32_t>::max();
    return {.temperature = params.temperature,
            .top_p = params.top_p,
            .min_p = params.min_p,
            .repetition_penalty = params.repetition_penalty,
            .top_k = static_cast<std::uint32_t>(std::min(params.top_k, most)),
            .ended = 0,
            .uniform = params.uniform};
}

bool penalizes(SamplingParams const& params) {
    return params.repetition_penalty != 1.0F && !params.seen.empty();
}

/// One bit for each token: [params.size(), words].
std::vector<std::uint32_t> seen_bits(std::span<SamplingParams const> params, std::size_t vocabulary,
                                     std::size_t words) {
    std::vector<std::uint32_t> bits(params.size() * words);
    for (std::size_t b = 0; b < params.size(); ++b) {
        if (!penalizes(params[b])) continue;
        for (std::int32_t const token : params[b].seen) {
            auto const id = static_cast<std::size_t>(token);
            if (token >= 0 && id < vocabulary) bits[b * words + id / 32] |= 1U << (id % 32);
        }
    }
    return bits;
}

}  // namespace

void CudaBackend::sample(ConstTensorView logits, std::span<SamplingParams const> params,
                         std::span<TokenLogprob> chosen) {
    contracts::sample(logits, params, chosen);
    std::size_t const words =
        std::any_of(params.begin(), params.end(), penalizes) ? (logits.cols + 31) / 32 : 0;
    unsigned const blocks =
        choosing_blocks(logits.rows, logits.cols, properties().multiProcessorCount);
    std::size_t const meeting_bytes = blocks > 1 ? sizeof(MeetingPlace) : 0;
    std::size_t const bytes_per_row = scan_bytes(1, logits.cols) + words * sizeof(std::uint32_t) +
                                      sizeof(ChoiceRule) + meeting_bytes + sizeof(DecodeOutput);
    std::vector<ChoiceRule> rules(params.size());
    std::transform(params.begin(), params.end(), rules.begin(), rule_of);
    std::vector<DecodeOutput> results(params.size());
    in_parts(logits.rows, bytes_per_row, [&](std::size_t first, std::size_t rows) {
        auto const bits = seen_bits(params.subspan(first, rows), logits.cols, words);
        ChoiceRules how;
        how.given = upload(std::span<ChoiceRule const>(rules).subspan(first, rows)).data;
        if (words > 0) how.seen = upload(std::span<std::uint32_t const>(bits)).data;
        how.seen_words = words;
        how.blocks_per_row = blocks;
        how.meeting_places = reinterpret_cast<MeetingPlace*>(scratch(rows * meeting_bytes));
        auto const from = scan_logits(logits.rows_from(first, rows), how,
                                      scratch(scan_bytes(rows, logits.cols)), stream());
        std::byte* const output = scratch(rows * sizeof(DecodeOutput));
        choose_tokens(from, rows, how, reinterpret_cast<DecodeOutput*>(output), stream());
        copy_to_host(output, std::as_writable_bytes(std::span(results).subspan(first, rows)));
    });
    std::transform(results.begin(), results.end(), chosen.begin(), [](DecodeOutput const& output) {
        return TokenLogprob{.token = output.token, .logprob = output.logprob};
    });
}

void CudaBackend::log_probabilities(ConstTensorView logits, std::span<std::int32_t const> tokens,
                                    std::span<float> logprobs) {
    contracts::log_probabilities(logits, tokens, logprobs);
    std::size_t const bytes_per_row =
        scan_bytes(1, logits.cols) + sizeof(std::int32_t) + sizeof(float);
    in_parts(logits.rows, bytes_per_row, [&](std::size_t first, std::size_t rows) {
        auto const wanted = upload(tokens.subspan(first, rows));
        auto const from = scan_logits(logits.rows_from(first, rows), {},
                                      scratch(scan_bytes(rows, logits.cols)), stream());
        std::byte* const output = scratch(rows * sizeof(float));
        launch_dependent(log_probability,
                         {.grid = dim3(static_cast<unsigned>(rows)), .block = dim3(2 * warp_size)},
                         stream(), from, wanted.data, reinterpret_cast<float*>(output));
        copy_to_host(output, std::as_writable_bytes(logprobs.subspan(first, rows)));
    });
}

void CudaBackend::top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) {
    contracts::top_log_probabilities(logits, top);
    if (top.empty()) return;
    auto const from = scan_logits(logits, {}, scratch(scan_bytes(1, logits.cols)), stream());
    std::byte* const output = scratch(top.size_bytes());
    TopTokens<TokenLogprob> const to{.top = reinterpret_cast<TokenLogprob*>(output),
                                     .count = top.size()};
    find_top_tokens(from, 1, {}, to, stream());
    copy_to_host(output, std::as_writable_bytes(top));
}

void CudaBackend::top_logits(ConstTensorView logits, std::size_t count, std::span<TokenLogit> top,
                             std::span<float> log_sums) {
    contracts::top_logits(logits, count, top, log_sums);
    std::size_t const bytes_per_row = scan_bytes(1, logits.cols) + (count + 1) * sizeof(TokenLogit);
    std::vector<TokenLogit> found;
    in_parts(logits.rows, bytes_per_row, [&](std::size_t first, std::size_t rows) {
        found.resize(rows * (count + 1));
        std::byte* const there = scratch(found.size() * sizeof(TokenLogit));
        top_logits(logits.rows_from(first, rows), count, 0,
                   {reinterpret_cast<TokenLogit*>(there), found.size()});
        copy_to_host(there, std::as_writable_bytes(std::span(found)));
        for (std::size_t b = 0; b < rows; ++b) {
            auto const* const row = found.data() + b * (count + 1);
            std::copy_n(row, count, top.data() + (first + b) * count);
            log_sums[first + b] = row[count].logit;
        }
    });
}

}  // namespace tesserank::kernels::cuda
