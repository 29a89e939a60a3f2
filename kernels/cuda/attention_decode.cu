#include "kernels/contracts.hpp"
#include "kernels/cuda/attention_decode.hpp"
#include "kernels/cuda/cuda_backend.hpp"

#include <algorithm>

namespace tesserank::kernels::cuda {
namespace {

/// Memory for parts of split sequences, half of what scratch() has.
constexpr std::size_t partial_bytes = std::size_t{32} << 20;
constexpr std::size_t most_splits = 128;

/// What a kernel's blocks occupy of a multiprocessor.
struct BlockNeeds {
    std::size_t shared_bytes;
    std::size_t most;  ///< that its registers allow
};

BlockNeeds block_needs(DecodeWork const& work, bool tensor_cores) {
    std::size_t const dim = work.shape.head_dim;
    if (tensor_cores) return {tensor_core_shared_bytes(dim), tensor_core_blocks};
    return {plain_shared_bytes(work.tile_rows, dim), plain_blocks};
}

std::size_t resident_blocks(cudaDeviceProp const& device, BlockNeeds const& needs) {
    constexpr std::size_t reserved = 1024;  // by the system, for each block
    std::size_t const by_memory =
        device.sharedMemPerMultiprocessor / (needs.shared_bytes + reserved);
    return static_cast<std::size_t>(device.multiProcessorCount) *
           std::max<std::size_t>(1, std::min(needs.most, by_memory));
}

std::size_t rows_of_part(DecodeWork const& work) {
    return std::min(
        {std::size_t{work.tile_rows}, work.shape.queries_per_kv, work.shape.query_heads});
}

Cut choose_cut_of(DecodeWork const& work, Segments const& segments, std::size_t resident) {
    std::size_t const groups = work.groups();
    std::size_t const window = work.shape.window;
    std::size_t const part_bytes =
        rows_of_part(work) * (work.shape.head_dim * sizeof(float) + sizeof(float2));
    return choose_cut(
        {.sequences = segments.list.size,
         .groups = groups,
         .positions = window > 0 ? std::min(window, segments.context) : segments.context,
         .resident_blocks = resident,
         .most_splits = std::min(most_splits, partial_bytes / part_bytes / groups)});
}

}  // namespace

void CudaBackend::attention_decode(ConstTensorView q, ConstTensorView k_cache,
                                   ConstTensorView v_cache, Segments const& segments,
                                   AttentionShape const& shape, TensorView y) {
    contracts::attention(q, {k_cache, v_cache}, shape, y);
    contracts::single_tokens(segments);
    require(segments.context < std::size_t{1} << 31U,
            "attention_decode counts positions in 32 bits");
    DecodeWork work{
        .q = q, .k = k_cache, .v = v_cache, .y = y, .segments = segments.list, .shape = shape};
    bool const tensor_cores = fits_tensor_cores(work);
    work.tile_rows = tensor_cores ? tensor_core_tile_rows : plain_tile_rows(shape);
    work.query_tiles = static_cast<std::uint32_t>(query_tiles(shape, work.tile_rows));
    if (work.groups() == 0 || segments.context == 0 || shape.head_dim == 0) return;

    // With more groups than counters the device is full without splits.
    if (work.groups() <= counters) {
        work.cut = choose_cut_of(work, segments,
                                 resident_blocks(properties(), block_needs(work, tensor_cores)));
    }
    if (work.cut.splits > 1) {
        std::size_t const rows = work.blocks() * rows_of_part(work);
        work.partials = {
            .mix = reinterpret_cast<float*>(scratch(rows * shape.head_dim * sizeof(float))),
            .norms = reinterpret_cast<float2*>(scratch(rows * sizeof(float2))),
            .rows = rows_of_part(work),
            .row_stride = shape.head_dim};
        work.finished = reinterpret_cast<std::uint32_t*>(counters_.get());
    }
    tensor_cores ? launch_tensor_core_decode(work, stream()) : launch_plain_decode(work, stream());
}

}  // namespace tesserank::kernels::cuda
