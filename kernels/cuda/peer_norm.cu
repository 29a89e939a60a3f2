#include "kernels/cuda/device/peer.cuh"
#include "kernels/cuda/norm_targets.cuh"
#include "kernels/cuda/peer_norm.hpp"

/// An all-reduce in one step, as vLLM's and TensorRT-LLM's kernels for short messages do it, that
/// goes on with the residual and the norm: every rank reads the rows of all the others and adds
/// them up, in the order of the ranks, so that all have the same bits. Calls are counted by the
/// device, so that a recording can be replayed.
namespace tesserank::kernels::cuda {
namespace {

/// Whether call a comes before call b; they are counted around 2^32.
__device__ __forceinline__ bool before(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
}

/// Tells rank `peer` that this rank's row is there, and waits until that one's is: false when the
/// host ends the wait. By one thread, behind a barrier of those that wrote the row and before one
/// of those that read the other.
__device__ bool meet(PeerNormArguments const& arguments, unsigned peer, std::size_t row,
                     std::uint32_t call) {
    constexpr unsigned looks_between = 128;  // at the host's memory, which is far
    bool late = false;
    store_release(&arguments.memory[peer]->shown[row][arguments.rank], call);
    auto* const shown = &arguments.memory[arguments.rank]->shown[row][peer];
    for (unsigned looks = 1; before(load_acquire(shown), call); ++looks) {
        if (looks % looks_between == 0) {
            late = true;
            store_release(&arguments.words->missing, peer + 1);
            if (load_acquire(&arguments.words->stop) != 0) return false;
        }
        look_again();
    }
    if (late) store_release(&arguments.words->missing, 0);
    return true;
}

/// Of a pack, all terms are on their way before the first one is needed; those of the next pack
/// wait until it is added up.
template <int Width>
__device__ __forceinline__ Floats<Width> sum_over_ranks(PeerNormArguments const& arguments,
                                                        std::size_t row, std::uint32_t call,
                                                        std::size_t col) {
    Floats<Width> terms[PeerPlace::most_ranks]{};
#pragma unroll
    for (unsigned rank = 0; rank < PeerPlace::most_ranks; ++rank) {
        if (rank >= arguments.ranks) continue;
        terms[rank] = load_of_peer<Width>(arguments.memory[rank]->slots[call % 2][row], col);
    }
    auto sum = terms[0];
#pragma unroll
    for (unsigned rank = 1; rank < PeerPlace::most_ranks; ++rank) {
        if (rank >= arguments.ranks) continue;
        for (int i = 0; i < Width; ++i) sum.at[i] += terms[rank].at[i];
    }
    return sum;
}

template <int Width, int Packs>
__global__ void __launch_bounds__(most_norm_threads)
    peer_norm_kernel(PeerNormArguments arguments, PlainTarget target) {
    NormTerms const terms{arguments.weight, {}, arguments.eps};
    prefetch_weight(terms);
    wait_for_previous_grid();
    std::size_t const index = blockIdx.x, cols = arguments.partial.cols;
    auto& own = *arguments.memory[arguments.rank];
    if (own.ended[index] != 0) return;
    std::uint32_t const call = own.calls[index] + 1;
    auto* const place = reinterpret_cast<std::byte*>(own.slots[call % 2][index]);
    auto const* const partial = row_of(arguments.partial, index);
    std::size_t const step = std::size_t{blockDim.x} * Width;
    for (std::size_t c = threadIdx.x * Width; c < cols; c += step) {
        store_floats<Width>(place, DType::f32, c, load_floats<Width>(partial, DType::f32, c));
    }
    __shared__ bool ended;
    if (threadIdx.x == 0) ended = false;
    __syncthreads();
    if (threadIdx.x < arguments.ranks && threadIdx.x != arguments.rank) {
        if (!meet(arguments, threadIdx.x, index, call)) ended = true;
    }
    __syncthreads();
    // The host has an error then, and takes no result. A trap would do as well, but where ranks
    // share a device the kernels of the others have been seen to hang behind it.
    if (ended) {
        if (threadIdx.x == 0) own.ended[index] = 1;
        return;
    }
    // Not before: it could take the room on the device that another rank's kernel needs.
    let_next_grid_start();
    auto* const residual = row_of(arguments.residual, index);
    Row<Width, Packs> const row(residual, cols, [&](std::size_t col) {
        auto pack = load_floats<Width>(residual, DType::f32, col);
        auto const sum = sum_over_ranks<Width>(arguments, index, call, col);
        for (int i = 0; i < Width; ++i) pack.at[i] += sum.at[i];
        store_floats<Width>(residual, DType::f32, col, pack);
        return pack;
    });
    target.write(row, Normed<NormKind::root_mean_square, Width>(row, terms), index);
    if (threadIdx.x == 0) own.calls[index] = call;
}

template <int Width>
void launch_peer_norm(PeerNormArguments const& arguments, PlainTarget const& target,
                      cudaStream_t stream) {
    NormBlock const block(arguments.partial.cols / Width);
    auto* const kernel = block.held <= 1   ? peer_norm_kernel<Width, 1>
                         : block.held <= 2 ? peer_norm_kernel<Width, 2>
                         : block.held <= 4 ? peer_norm_kernel<Width, 4>
                                           : peer_norm_kernel<Width, 8>;
    launch_dependent(
        kernel, {.grid = static_cast<unsigned>(arguments.partial.rows), .block = block.threads},
        stream, arguments, target);
}

}  // namespace

void peer_norm(PeerNormArguments const& a, TensorView const& y, cudaStream_t stream) {
    if (a.partial.size() == 0) return;
    constexpr int width = 4;
    PlainTarget const target{y};
    bool const aligned = a.partial.cols % width == 0 && rows_aligned(a.residual) &&
                         rows_aligned(a.partial) && rows_aligned(a.weight) && target.aligned();
    if (aligned) {
        launch_peer_norm<width>(a, target, stream);
    } else {
        launch_peer_norm<1>(a, target, stream);
    }
}

}  // namespace tesserank::kernels::cuda
