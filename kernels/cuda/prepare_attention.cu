/// One kernel for all that happens to single heads: each is read once, normalised, rotated, written
/// back and stored in the cache. head_rms_norm, rotary and store_kv are parts of it.
///
/// A head belongs to 1 to 32 neighbouring lanes, each of which reads 16 bytes of its first half and
/// the 16 bytes of the second half that they are rotated with. At 128 columns of bf16 these are 8
/// lanes, so that one token of 48 heads is spread over 3 blocks. The values are read a second time
/// after the sum of squares, from L1, which keeps one text for all head_dims.
#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/prepare_attention.hpp"

#include <algorithm>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned block_threads = 128;

/// How the heads of a token are dealt out to threads.
struct Deal {
    unsigned lanes;   ///< of each head, a power of 2
    unsigned blocks;  ///< of each token
};

/// One head of one token. `second` is the element that element 0 is rotated with; an odd head_dim,
/// which cannot be rotated, has no second half.
struct Head {
    std::byte* data = nullptr;  ///< none: a lane without a head
    std::byte* cache = nullptr;
    DType cache_dtype = DType::f32;
    ConstTensorView norm;
    bool rotated = false;
    std::size_t second = 0;
    bool paired = false;
};

constexpr std::size_t not_stored = static_cast<std::size_t>(-1);

/// The row of the cache for a token, by all threads of a block.
__device__ std::size_t cache_row_of(DeviceSpan<Segment const> segments, std::size_t token) {
    __shared__ std::size_t found;
    if (threadIdx.x == 0) found = not_stored;
    __syncthreads();
    for (std::size_t i = threadIdx.x; i < segments.size; i += blockDim.x) {
        Segment const& segment = segments.data[i];
        if (token >= segment.row && token - segment.row < segment.tokens) {
            found = segment.cache_row + segment.first_position + (token - segment.row);
        }
    }
    __syncthreads();
    return found;
}

template <class T>
__device__ Head head_of(PrepareWork const& work, std::size_t token, std::size_t index,
                        std::size_t cache_row) {
    Head head;
    head.paired = work.head_dim % 2 == 0;
    head.second = head.paired ? work.head_dim / 2 : work.head_dim;
    auto const at = [&](HeadColumns const& columns, std::size_t of) {
        return columns.data + (token * columns.stride + of * work.head_dim) * sizeof(T);
    };
    auto const store_in = [&](TensorView const& cache, std::size_t of) {
        if (cache_row == not_stored) return;
        head.cache_dtype = cache.dtype;
        head.cache =
            cache.data + (cache_row * cache.stride + of * work.head_dim) *
                             (cache.dtype == DType::f32 ? sizeof(float) : sizeof(BFloat16));
    };
    if (index < work.q.heads) {
        head.data = at(work.q, index);
        head.norm = work.norms.query;
        head.rotated = work.cos_sin.data != nullptr;
    } else if (index < work.q.heads + work.k.heads) {
        std::size_t const of = index - work.q.heads;
        head.data = at(work.k, of);
        head.norm = work.norms.key;
        head.rotated = work.cos_sin.data != nullptr;
        store_in(work.k_cache, of);
    } else if (index < work.q.heads + work.k.heads + work.v.heads) {
        std::size_t const of = index - work.q.heads - work.k.heads;
        head.data = at(work.v, of);
        store_in(work.v_cache, of);
    }
    return head;
}

template <unsigned Width>
__device__ float square_sum(Floats<Width> const& x) {
    float sum = 0.0F;
    for (float const value : x.at) sum = fmaf(value, value, sum);
    return sum;
}

/// 1 / sqrt(mean square + eps), the same in all lanes of the head. Called by whole warps.
template <class T, unsigned Width>
__device__ float norm_factor(Head const& head, PrepareWork const& work, Deal const& deal) {
    float sum = 0.0F;
    if (head.data != nullptr && head.norm.data != nullptr) {
        for (std::size_t i = threadIdx.x % deal.lanes * Width; i < head.second;
             i += deal.lanes * Width) {
            sum += square_sum(load_pack<T, Width>(head.data, i));
            if (head.paired) sum += square_sum(load_pack<T, Width>(head.data, head.second + i));
        }
    }
    for (int distance = static_cast<int>(deal.lanes) / 2; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(full_warp, sum, distance);
    }
    return 1.0F / sqrtf(sum / static_cast<float>(work.head_dim) + work.norms.eps);
}

template <unsigned Width>
__device__ void normalise(Floats<Width>& x, Head const& head, float factor, std::size_t i) {
    auto const weight = load_floats<Width>(head.norm.data, head.norm.dtype, i);
    for (unsigned j = 0; j < Width; ++j) x.at[j] *= factor * weight.at[j];
}

template <unsigned Width>
__device__ void rotate(Floats<Width>& a, Floats<Width>& b, std::byte const* cos_sin,
                       std::size_t half, std::size_t i) {
    auto const cosines = load_pack<float, Width>(cos_sin, i);
    auto const sines = load_pack<float, Width>(cos_sin, half + i);
    for (unsigned j = 0; j < Width; ++j) {
        float const first = a.at[j], second = b.at[j];
        a.at[j] = first * cosines.at[j] - second * sines.at[j];
        b.at[j] = second * cosines.at[j] + first * sines.at[j];
    }
}

template <class T, unsigned Width>
__device__ void write(Head const& head, std::size_t i, Floats<Width> const& x) {
    if (head.rotated || head.norm.data != nullptr) {
        store_floats<Width>(head.data, dtype_of<T>(), i, x);
    }
    if (head.cache != nullptr) store_floats<Width>(head.cache, head.cache_dtype, i, x);
}

template <class T, unsigned Width>
__global__ void __launch_bounds__(block_threads) prepare(PrepareWork work, Deal deal) {
    wait_for_previous_grid();
    let_next_grid_start();
    std::size_t const token = blockIdx.x / deal.blocks;
    std::size_t const index = (blockIdx.x % deal.blocks * block_threads + threadIdx.x) / deal.lanes;
    std::size_t const cache_row =
        work.segments.size == 0 ? not_stored : cache_row_of(work.segments, token);
    Head const head = head_of<T>(work, token, index, cache_row);
    float const factor = norm_factor<T, Width>(head, work, deal);
    if (head.data == nullptr) return;
    std::byte const* const cos_sin =
        work.cos_sin.data + token * work.cos_sin.stride * sizeof(float);
    for (std::size_t i = threadIdx.x % deal.lanes * Width; i < head.second;
         i += deal.lanes * Width) {
        auto a = load_pack<T, Width>(head.data, i);
        if (head.norm.data != nullptr) normalise(a, head, factor, i);
        if (head.paired) {
            std::size_t const other = head.second + i;
            auto b = load_pack<T, Width>(head.data, other);
            if (head.norm.data != nullptr) normalise(b, head, factor, other);
            if (head.rotated) rotate(a, b, cos_sin, head.second, i);
            write<T>(head, other, b);
        }
        write<T>(head, i, a);
    }
}

template <class T, unsigned Width>
void launch_width(PrepareWork const& work, cudaStream_t stream) {
    std::size_t const chunks = std::max<std::size_t>(1, work.head_dim / 2 / Width);
    Deal deal{.lanes = 1, .blocks = 0};
    while (deal.lanes < chunks && deal.lanes < warp_size) deal.lanes *= 2;
    std::size_t const heads = block_threads / deal.lanes;
    deal.blocks = static_cast<unsigned>((work.heads() + heads - 1) / heads);
    launch_dependent(prepare<T, Width>,
                     {.grid = dim3(static_cast<unsigned>(work.tokens) * deal.blocks),
                      .block = dim3(block_threads)},
                     stream, work, deal);
}

bool aligned(HeadColumns const& columns, PrepareWork const& work) {
    return columns.heads == 0 || rows_aligned(TensorView{{columns.data, work.dtype, work.tokens,
                                                          work.head_dim, columns.stride}});
}

/// Whether every 16 bytes of half a head can be moved at once, and what belongs to them.
template <class T>
bool moves_vectors(PrepareWork const& work) {
    constexpr std::size_t width = 16 / sizeof(T);
    return work.head_dim % (2 * width) == 0 && aligned(work.q, work) && aligned(work.k, work) &&
           aligned(work.v, work) && rows_aligned(work.norms.query) &&
           rows_aligned(work.norms.key) && rows_aligned(work.cos_sin) &&
           rows_aligned(work.k_cache) && rows_aligned(work.v_cache);
}

template <class T>
void launch_dtype(PrepareWork const& work, cudaStream_t stream) {
    if (moves_vectors<T>(work)) {
        launch_width<T, 16 / sizeof(T)>(work, stream);
    } else {
        launch_width<T, 1>(work, stream);
    }
}

HeadColumns columns_of(ConstTensorView const& x, std::size_t first, std::size_t heads,
                       std::size_t head_dim) {
    // The kernel writes only to the heads that it normalises or rotates.
    auto* const data = const_cast<std::byte*>(x.data);
    return {data + first * head_dim * size_of(x.dtype), x.stride, heads};
}

}  // namespace

void launch_prepare(PrepareWork const& work, cudaStream_t stream) {
    if (work.head_dim == 0 || work.heads() == 0) return;
    if (work.dtype == DType::bf16) {
        launch_dtype<BFloat16>(work, stream);
    } else {
        launch_dtype<float>(work, stream);
    }
}

void CudaBackend::head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                                float eps) {
    contracts::head_norm(x, head_dim, weight);
    launch_prepare({.dtype = x.dtype,
                    .tokens = x.rows,
                    .head_dim = head_dim,
                    .q = columns_of(x, 0, x.cols / head_dim, head_dim),
                    .norms = {.query = weight, .key = {}, .eps = eps}},
                   stream());
}

void CudaBackend::rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) {
    contracts::rotary(x, head_dim, cos_sin);
    launch_prepare({.dtype = x.dtype,
                    .tokens = x.rows,
                    .head_dim = head_dim,
                    .q = columns_of(x, 0, x.cols / head_dim, head_dim),
                    .cos_sin = cos_sin},
                   stream());
}

/// The kv heads need not be told apart here: a row is one head.
void CudaBackend::store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                           TensorView k_cache, TensorView v_cache) {
    contracts::store_kv(k, v, {k_cache, v_cache});
    if (segments.list.size == 0) return;
    launch_prepare({.dtype = k.dtype,
                    .tokens = k.rows,
                    .head_dim = k.cols,
                    .k = columns_of(k, 0, 1, k.cols),
                    .v = columns_of(v, 0, 1, v.cols),
                    .segments = segments.list,
                    .k_cache = k_cache,
                    .v_cache = v_cache},
                   stream());
}

void CudaBackend::prepare_attention(TensorView qkv, AttentionShape const& shape,
                                    HeadNorms const& norms, ConstTensorView cos_sin,
                                    Segments const& segments, TensorView k_cache,
                                    TensorView v_cache) {
    contracts::prepare_attention(qkv, shape);
    std::size_t const q = shape.query_heads, k = shape.kv_heads, dim = shape.head_dim;
    if (qkv.cols == 0) return;
    contracts::rotary(qkv, dim, cos_sin);
    launch_prepare({.dtype = qkv.dtype,
                    .tokens = qkv.rows,
                    .head_dim = dim,
                    .q = columns_of(qkv, 0, q, dim),
                    .k = columns_of(qkv, q, k, dim),
                    .v = columns_of(qkv, q + k, k, dim),
                    .norms = norms,
                    .cos_sin = cos_sin,
                    .segments = segments.list,
                    .k_cache = k_cache,
                    .v_cache = v_cache},
                   stream());
}

}  // namespace tesserank::kernels::cuda
