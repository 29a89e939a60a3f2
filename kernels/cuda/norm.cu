#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/packs.cuh"

#include <algorithm>

/// A block for each row, which it reads once: the row stays in registers until its sums are known.
/// The shape of a block, and with it the order of the sums, depends on the width alone. A row of
/// 4096 columns takes 512 threads with two packs of 16 bytes each: enough loads under way to hide
/// the way to memory also when a decode step has one row, and four such blocks fill a
/// multiprocessor when there are many.
namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned most_threads = 512;

struct NormArguments {
    TensorView sum;         ///< no data, or residual, to which delta is added before
    ConstTensorView x;      ///< sum where there is one
    ConstTensorView delta;  ///< with sum only
    ConstTensorView weight, bias;
    TensorView y;
    float eps;
};

enum class Norm { root_mean_square, layer };

/// The same in all threads.
__device__ __forceinline__ float block_sum(float value) {
    __shared__ float parts[most_threads / warp_size];
    value = warp_sum(value);
    __syncthreads();  // an earlier sum has been read
    if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
    __syncthreads();
    unsigned const lane = threadIdx.x % warp_size;
    return warp_sum(lane < blockDim.x / warp_size ? parts[lane] : 0.0F);
}

/// A row of which each thread holds `Packs` packs; columns behind those of all threads are read
/// from memory whenever they are needed.
template <int Width, int Packs>
class Row {
  public:
    __device__ Row(NormArguments const& arguments, std::size_t row)
        : sum_{arguments.sum.data == nullptr ? nullptr : row_of(arguments.sum, row)},
          x_{row_of(arguments.x, row)},
          delta_{row_of(arguments.delta, row)},
          cols_{arguments.x.cols} {
#pragma unroll
        for (int i = 0; i < Packs; ++i) {
            if (column(i) < cols_) held_[i] = fetch(column(i));
        }
        for (std::size_t c = column(Packs); c < cols_; c += step()) fetch(c);
    }

    /// work(pack, first column) for the columns of this thread.
    template <class Work>
    __device__ void for_each(Work const& work) const {
#pragma unroll
        for (int i = 0; i < Packs; ++i) {
            if (column(i) < cols_) work(held_[i], column(i));
        }
        for (std::size_t c = column(Packs); c < cols_; c += step()) {
            work(load_floats<Width>(x_, DType::f32, c), c);
        }
    }

    /// The sum of term(element) over the whole row.
    template <class Term>
    __device__ float sum_of(Term const& term) const {
        float sum = 0.0F;
        for_each([&](Floats<Width> const& pack, std::size_t) {
            for (int i = 0; i < Width; ++i) sum += term(pack.at[i]);
        });
        return block_sum(sum);
    }

  private:
    static __device__ std::size_t step() { return std::size_t{blockDim.x} * Width; }
    static __device__ std::size_t column(int pack) {
        return (static_cast<std::size_t>(pack) * blockDim.x + threadIdx.x) * Width;
    }
    __device__ Floats<Width> fetch(std::size_t col) {
        auto pack = load_floats<Width>(x_, DType::f32, col);
        if (sum_ == nullptr) return pack;
        auto const delta = load_floats<Width>(delta_, DType::f32, col);
        for (int i = 0; i < Width; ++i) pack.at[i] += delta.at[i];
        store_floats<Width>(sum_, DType::f32, col, pack);
        return pack;
    }

    std::byte* sum_;
    std::byte const* x_;
    std::byte const* delta_;
    std::size_t cols_;
    Floats<Width> held_[Packs];
};

template <Norm norm, int Width, int Packs>
__global__ void __launch_bounds__(most_threads) norm_kernel(NormArguments arguments) {
    let_next_grid_start();
    constexpr unsigned line_bytes = 128;
    if (threadIdx.x * line_bytes < arguments.weight.cols * size_of(arguments.weight.dtype)) {
        prefetch_l2(arguments.weight.data + threadIdx.x * line_bytes);
    }
    wait_for_previous_grid();
    std::size_t const index = blockIdx.x;
    Row<Width, Packs> const row(arguments, index);
    auto const width = static_cast<float>(arguments.x.cols);
    float const mean = norm == Norm::layer ? row.sum_of([](float x) { return x; }) / width : 0.0F;
    float const squares = row.sum_of([=](float x) { return (x - mean) * (x - mean); });
    float const scale = 1.0F / sqrtf(squares / width + arguments.eps);
    row.for_each([&](Floats<Width> pack, std::size_t col) {
        auto const factors = load_floats<Width>(arguments.weight.data, arguments.weight.dtype, col);
        for (int i = 0; i < Width; ++i) pack.at[i] = (pack.at[i] - mean) * scale * factors.at[i];
        if (norm == Norm::layer && arguments.bias.data != nullptr) {
            auto const offsets = load_floats<Width>(arguments.bias.data, arguments.bias.dtype, col);
            for (int i = 0; i < Width; ++i) pack.at[i] += offsets.at[i];
        }
        store_floats<Width>(row_of(arguments.y, index), arguments.y.dtype, col, pack);
    });
}

template <Norm norm, int Width>
void launch_norm(NormArguments const& arguments, cudaStream_t stream) {
    std::size_t const packs = arguments.x.cols / Width;
    auto const threads = static_cast<unsigned>(
        std::min<std::size_t>((packs + warp_size - 1) / warp_size * warp_size, most_threads));
    std::size_t const held = (packs + threads - 1) / threads;
    auto* const kernel = held <= 1   ? norm_kernel<norm, Width, 1>
                         : held <= 2 ? norm_kernel<norm, Width, 2>
                         : held <= 4 ? norm_kernel<norm, Width, 4>
                                     : norm_kernel<norm, Width, 8>;
    launch_dependent(kernel, {.grid = static_cast<unsigned>(arguments.x.rows), .block = threads},
                     stream, arguments);
}

template <Norm norm>
void launch_norm(NormArguments const& a, cudaStream_t stream) {
    if (a.x.rows == 0 || a.x.cols == 0) return;
    constexpr int width = 4;
    bool const aligned = a.x.cols % width == 0 && rows_aligned(a.x) && rows_aligned(a.delta) &&
                         rows_aligned(a.weight) && rows_aligned(a.bias) && rows_aligned(a.y);
    if (aligned) {
        launch_norm<norm, width>(a, stream);
    } else {
        launch_norm<norm, 1>(a, stream);
    }
}

template <int Width>
__global__ void __launch_bounds__(most_threads)
    square_sums_kernel(ConstTensorView x, TensorView y) {
    let_next_grid_start();
    wait_for_previous_grid();
    float sum = 0.0F;
    for (std::size_t c = std::size_t{threadIdx.x} * Width; c < x.cols;
         c += std::size_t{blockDim.x} * Width) {
        auto const pack = load_floats<Width>(row_of(x, blockIdx.x), x.dtype, c);
        for (int i = 0; i < Width; ++i) sum += pack.at[i] * pack.at[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) *reinterpret_cast<float*>(row_of(y, blockIdx.x)) = sum;
}

/// x = x / sqrt(sums / width + eps) * weight
struct ScaleBySquareSums {
    TensorView x;
    ConstTensorView sums;
    float width;
    ConstTensorView weight;
    float eps;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        float const sum = *reinterpret_cast<float const*>(row_of(sums, row));
        float const scale = 1.0F / sqrtf(sum / width + eps);
        auto pack = load_floats<Width>(row_of(x, row), x.dtype, col);
        auto const factors = load_floats<Width>(weight.data, weight.dtype, col);
        for (int i = 0; i < Width; ++i) pack.at[i] *= scale * factors.at[i];
        store_floats<Width>(row_of(x, row), x.dtype, col, pack);
    }
};

}  // namespace

void CudaBackend::rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) {
    contracts::norm(x, weight, {}, y);
    launch_norm<Norm::root_mean_square>(
        {.sum = {}, .x = x, .delta = {}, .weight = weight, .bias = {}, .y = y, .eps = eps},
        stream());
}

void CudaBackend::add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                               float eps, TensorView y) {
    contracts::add_norm(residual, delta, weight, y);
    launch_norm<Norm::root_mean_square>({.sum = residual,
                                         .x = residual,
                                         .delta = delta,
                                         .weight = weight,
                                         .bias = {},
                                         .y = y,
                                         .eps = eps},
                                        stream());
}

void CudaBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                             float eps, TensorView y) {
    contracts::norm(x, weight, bias, y);
    launch_norm<Norm::layer>(
        {.sum = {}, .x = x, .delta = {}, .weight = weight, .bias = bias, .y = y, .eps = eps},
        stream());
}

void CudaBackend::square_sums(ConstTensorView x, TensorView y) {
    contracts::square_sums(x, y);
    constexpr int width = 8;
    bool const aligned = x.cols % width == 0 && rows_aligned(x);
    std::size_t const packs = std::max<std::size_t>(x.cols / (aligned ? width : 1), 1);
    auto const threads = static_cast<unsigned>(
        std::min<std::size_t>((packs + warp_size - 1) / warp_size * warp_size, most_threads));
    launch_dependent(aligned ? square_sums_kernel<width> : square_sums_kernel<1>,
                     {.grid = static_cast<unsigned>(x.rows), .block = threads}, stream(), x, y);
}

void CudaBackend::scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                                       ConstTensorView weight, float eps) {
    contracts::scale_by_square_sums(x, sums, width, weight);
    for_each_pack(stream(), {x.rows, x.cols}, rows_aligned(x) && rows_aligned(weight),
                  ScaleBySquareSums{x, sums, static_cast<float>(width), weight, eps});
}

}  // namespace tesserank::kernels::cuda
