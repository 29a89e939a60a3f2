/// One kernel for all that happens to single heads: each is read once, normalised, rotated, written
/// back and stored in the cache. head_rms_norm, rotary and store_kv are parts of it.
///
/// A head belongs to 1 to 32 neighbouring lanes, each of which reads 16 bytes of its first half and
/// the 16 bytes of the second half that they are rotated with. At 128 columns of bf16 these are 8
/// lanes, so that one token of 48 heads is spread over 3 blocks. For a few tokens the kernel takes
/// the time of two reads behind each other, at most: a lane's elements are on their way while the
/// block looks for the row of the cache.
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/floats.cuh"
#include "kernels/cuda/prepare_heads.hpp"

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
    std::byte* data = nullptr;   ///< none: a lane without a head
    std::byte* cache = nullptr;  ///< of this head in row 0; none: not stored
    std::size_t cache_stride = 0;
    DType cache_dtype = DType::f32;
    ConstTensorView norm;
    bool rotated = false;
    std::size_t second = 0;
    bool paired = false;
};

constexpr std::size_t not_stored = static_cast<std::size_t>(-1);

/// Of f32|bf16.
__device__ std::size_t bytes_of(DType activation) { return activation == DType::f32 ? 4 : 2; }

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
__device__ Head head_of(PrepareWork const& work, std::size_t token, std::size_t index) {
    Head head;
    head.paired = work.head_dim % 2 == 0;
    head.second = head.paired ? work.head_dim / 2 : work.head_dim;
    auto const at = [&](HeadColumns const& columns, std::size_t of) {
        return columns.data + (token * columns.stride + of * work.head_dim) * sizeof(T);
    };
    auto const store_in = [&](TensorView const& cache, std::size_t of) {
        head.cache_dtype = cache.dtype;
        head.cache_stride = cache.stride;
        head.cache = cache.data + of * work.head_dim * bytes_of(cache.dtype);
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
        if (work.segments.size > 0) store_in(work.k_cache, of);
    } else if (index < work.q.heads + work.k.heads + work.v.heads) {
        std::size_t const of = index - work.q.heads - work.k.heads;
        head.data = at(work.v, of);
        if (work.segments.size > 0) store_in(work.v_cache, of);
    }
    return head;
}

template <unsigned Width>
__device__ float square_sum(Floats<Width> const& x) {
    float sum = 0.0F;
    for (float const value : x.at) sum = fmaf(value, value, sum);
    return sum;
}

/// Elements that are rotated with each other.
template <unsigned Width>
struct Pair {
    Floats<Width> a{}, b{};
};

template <class T, unsigned Width>
__device__ Pair<Width> load_pair(Head const& head, std::size_t i) {
    Pair<Width> pair{.a = load_pack<T, Width>(head.data, i)};
    if (head.paired) pair.b = load_pack<T, Width>(head.data, head.second + i);
    return pair;
}

/// 1 / sqrt(mean square + eps), the same in all lanes of the head; `first` are this lane's elements
/// from i on, which others may follow. Called by whole warps.
template <class T, unsigned Width>
__device__ float norm_factor(Head const& head, Pair<Width> const& first, std::size_t i,
                             PrepareWork const& work, Deal const& deal) {
    float sum = square_sum(first.a) + square_sum(first.b);
    if (head.data != nullptr && head.norm.data != nullptr) {
        for (i += deal.lanes * Width; i < head.second; i += deal.lanes * Width) {
            auto const pair = load_pair<T, Width>(head, i);
            sum += square_sum(pair.a) + square_sum(pair.b);
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
    let_next_grid_start();
    unsigned const token = blockIdx.x / deal.blocks;
    unsigned const index = (blockIdx.x % deal.blocks * block_threads + threadIdx.x) / deal.lanes;
    Head head = head_of<T>(work, token, index);
    std::size_t i = threadIdx.x % deal.lanes * Width;
    if (head.norm.data != nullptr && i < head.second) {
        std::byte const* const weight = head.norm.data + i * size_of(head.norm.dtype);
        prefetch_l2(weight);
        if (head.paired) prefetch_l2(weight + head.second * size_of(head.norm.dtype));
    }
    wait_for_previous_grid();
    Pair<Width> pair;
    if (head.data != nullptr && i < head.second) pair = load_pair<T, Width>(head, i);
    if (work.segments.size > 0) {
        std::size_t const row = cache_row_of(work.segments, token);
        if (row == not_stored) head.cache = nullptr;
        if (head.cache != nullptr) {
            head.cache += row * head.cache_stride * bytes_of(head.cache_dtype);
        }
    }
    float const factor = norm_factor<T>(head, pair, i, work, deal);
    if (head.data == nullptr) return;
    std::byte const* const cos_sin =
        work.cos_sin.data + token * work.cos_sin.stride * sizeof(float);
    while (i < head.second) {
        std::size_t const other = head.second + i;
        if (head.norm.data != nullptr) {
            normalise(pair.a, head, factor, i);
            if (head.paired) normalise(pair.b, head, factor, other);
        }
        if (head.rotated) rotate(pair.a, pair.b, cos_sin, head.second, i);
        write<T>(head, i, pair.a);
        if (head.paired) write<T>(head, other, pair.b);
        i += deal.lanes * Width;
        if (i < head.second) pair = load_pair<T, Width>(head, i);
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

}  // namespace

void launch_prepare(PrepareWork const& work, cudaStream_t stream) {
    if (work.head_dim == 0 || work.heads() == 0) return;
    if (work.dtype == DType::bf16) {
        launch_dtype<BFloat16>(work, stream);
    } else {
        launch_dtype<float>(work, stream);
    }
}

}  // namespace tesserank::kernels::cuda
