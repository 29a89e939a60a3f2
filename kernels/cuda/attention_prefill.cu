#include "kernels/contracts.hpp"
#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/launch.cuh"

#include <algorithm>
#include <limits>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned planning_threads = 128;

/// tiles[i] = tile_at(i): once for all heads, since looking through many segments takes longer than
/// a block has time for.
template <std::uint32_t TileTokens>
__global__ void __launch_bounds__(planning_threads)
    plan_tiles(DeviceSpan<Segment const> segments, std::size_t longest, QueryTile* tiles,
               std::uint32_t tile_count) {
    let_next_grid_start();
    wait_for_previous_grid();
    std::uint32_t const place = blockIdx.x * planning_threads + threadIdx.x;
    if (place >= tile_count) return;
    tiles[place] = tile_at<TileTokens>(place, segments.data,
                                       static_cast<std::uint32_t>(segments.size), longest);
}

/// Whether `elements` at a time of all rows and heads are aligned to their size.
template <class View>
bool aligned(View const& view, std::size_t head_dim, std::size_t elements) {
    std::size_t const bytes = elements * size_of(view.dtype);
    return reinterpret_cast<std::uintptr_t>(view.data) % bytes == 0 &&
           view.stride % elements == 0 && head_dim % elements == 0;
}

constexpr std::size_t vector_bytes = 16;

}  // namespace

void CudaBackend::attention_prefill(ConstTensorView q, ConstTensorView k_cache,
                                    ConstTensorView v_cache, Segments const& segments,
                                    AttentionShape const& shape, TensorView y) {
    contracts::attention(q, {k_cache, v_cache}, shape, y);
    require(segments.context <= std::numeric_limits<std::int32_t>::max() / 2,
            "a context of more than 2^30 tokens");
    bool const tensor_cores =
        k_cache.dtype == DType::bf16 && has_tensor_tiles(shape.head_dim) && shape.scale > 0.0F;
    std::size_t const tile_tokens = tensor_cores ? tensor_tile_tokens : plain_tile_tokens;
    std::size_t const tiles =
        tiles_bound(q.rows, segments.list.size, segments.longest, tile_tokens);
    if (tiles == 0 || shape.query_heads == 0 || shape.head_dim == 0) return;

    auto* const planned = reinterpret_cast<QueryTile*>(scratch(tiles * sizeof(QueryTile)));
    auto const tile_count = static_cast<std::uint32_t>(tiles);
    launch_dependent(
        tensor_cores ? plan_tiles<tensor_tile_tokens> : plan_tiles<plain_tile_tokens>,
        LaunchShape{.grid = dim3((tile_count + planning_threads - 1) / planning_threads),
                    .block = dim3(planning_threads)},
        stream(), segments.list, segments.longest, planned, tile_count);

    PrefillCall const call{
        .q = q.data,
        .q_stride = q.stride,
        .q_is_f32 = q.dtype == DType::f32,
        .q_in_vectors = aligned(q, shape.head_dim, vector_bytes / size_of(q.dtype)),
        .k = k_cache.data,
        .v = v_cache.data,
        .kv_stride = k_cache.stride,
        .kv_is_f32 = k_cache.dtype == DType::f32,
        .kv_in_vectors = aligned(k_cache, shape.head_dim, vector_bytes / size_of(k_cache.dtype)) &&
                         aligned(v_cache, shape.head_dim, vector_bytes / size_of(v_cache.dtype)),
        .y = y.data,
        .y_stride = y.stride,
        .y_is_f32 = y.dtype == DType::f32,
        .y_in_pairs = aligned(y, shape.head_dim, 2),
        .tiles = planned,
        .tile_count = tile_count,
        .query_heads = static_cast<std::int32_t>(shape.query_heads),
        .queries_per_kv = static_cast<std::int32_t>(shape.queries_per_kv),
        .first_query = static_cast<std::int32_t>(shape.first_query),
        .head_dim = static_cast<std::int32_t>(shape.head_dim),
        .scale = shape.scale,
        .visibility = {
            .causal = shape.causal,
            .window = static_cast<std::int32_t>(std::min(shape.window, segments.context))}};
    if (!tensor_cores) {
        attention_prefill_plain(call, stream());
    } else if (properties().major == 9) {
        attention_prefill_wgmma(call, properties().multiProcessorCount, stream());
    } else {
        attention_prefill_mma(call, properties().sharedMemPerBlockOptin, stream());
    }
}

}  // namespace tesserank::kernels::cuda
