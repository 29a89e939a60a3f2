#include "kernels/cuda/block_reduction.cuh"
#include "kernels/cuda/device/grid.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/token_kernels.cuh"

#include <algorithm>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned scan_threads = 256;
/// Tokens of one block, whatever the batch, so that a row's sum does not depend on the others.
/// Enough to keep 16 loads of each thread under way; the second look at them finds them in L1.
constexpr std::uint32_t piece_tokens = 16 * scan_threads;

__device__ void clear(MeetingPlace& place) {
    auto* const words = reinterpret_cast<std::uint32_t*>(&place);
    for (unsigned i = threadIdx.x; i < sizeof(MeetingPlace) / sizeof(*words); i += blockDim.x) {
        words[i] = 0;
    }
}

__global__ void __launch_bounds__(scan_threads)
    scan_piece(LogitRows rows, ChoiceRules rules, RowSummary* pieces) {
    __shared__ BlockMemory memory;
    std::size_t const b = blockIdx.x;
    let_next_grid_start();
    wait_for_previous_grid();
    if (rules.ended(b)) return;
    if (blockIdx.y == 0 && rules.meet(b)) clear(rules.meeting_places[b]);
    std::uint32_t const first = blockIdx.y * piece_tokens;
    std::uint32_t const last = min(rows.cols, first + piece_tokens);
    Penalty const penalty = rules.penalty(b);
    // A thread's tokens rise, so that of equals the first one stays.
    std::uint32_t best = 0, likeliest = 0, best_token = 0, likeliest_token = 0;
    rows.visit(b, first, last, [&](float logit, std::uint32_t token) {
        std::uint32_t const plain = likelihood_of(logit);
        std::uint32_t const penalized = likelihood_of(penalty(logit, token));
        if (plain > likeliest) likeliest = plain, likeliest_token = token;
        if (penalized > best) best = penalized, best_token = token;
    });
    RowSummary piece;
    piece.best = block_largest(best == 0 ? 0 : rows.order.number(best, best_token), memory);
    piece.likeliest =
        block_largest(likeliest == 0 ? 0 : rows.order.number(likeliest, likeliest_token), memory);
    float const largest = rows.order.logit(piece.likeliest);
    float scaled = 0.0F;
    rows.visit(b, first, last,
               [&](float logit, std::uint32_t) { scaled += expf(LogSum::above(logit, largest)); });
    piece.sum = block_log_sum({largest, scaled}, memory);
    if (threadIdx.x == 0) pieces[b * gridDim.y + blockIdx.y] = piece;
}

std::uint32_t pieces_of(std::size_t cols) {
    return static_cast<std::uint32_t>((cols + piece_tokens - 1) / piece_tokens);
}

}  // namespace

std::size_t scan_bytes(std::size_t rows, std::size_t cols) {
    return rows * pieces_of(cols) * sizeof(RowSummary);
}

unsigned choosing_blocks(std::size_t rows, std::size_t cols, int multiprocessors) {
    // A block fills a multiprocessor; one with less than a piece would not be worth the meeting.
    auto const free = static_cast<std::size_t>(multiprocessors) / std::max(rows, std::size_t{1});
    return static_cast<unsigned>(
        std::clamp(free, std::size_t{1}, std::max(std::size_t{1}, std::size_t{pieces_of(cols)})));
}

LogitRows scan_logits(ConstTensorView logits, ChoiceRules const& rules, std::byte* scratch,
                      cudaStream_t stream) {
    auto* const pieces = reinterpret_cast<RowSummary*>(scratch);
    LogitRows const rows{
        .data = logits.row<float>(0),
        .stride = logits.stride,
        .cols = static_cast<std::uint32_t>(logits.cols),
        .vectors = reinterpret_cast<std::uintptr_t>(logits.data) % sizeof(float4) == 0 &&
                   (logits.rows <= 1 || logits.stride % 4 == 0),
        .pieces = pieces,
        .pieces_per_row = pieces_of(logits.cols),
        .order = TokenOrder::of_ids_below(logits.cols)};
    launch_dependent(scan_piece,
                     {.grid = dim3(static_cast<unsigned>(logits.rows), rows.pieces_per_row),
                      .block = dim3(scan_threads)},
                     stream, rows, rules, pieces);
    return rows;
}

}  // namespace tesserank::kernels::cuda
