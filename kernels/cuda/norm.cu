#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/norm_row.cuh"
#include "kernels/cuda/norm_targets.cuh"
#include "kernels/cuda/packs.cuh"

#include <algorithm>

namespace tesserank::kernels::cuda {
namespace {

struct NormArguments {
    TensorView sum;         ///< no data, or residual, to which delta is added before
    ConstTensorView x;      ///< sum where there is one
    ConstTensorView delta;  ///< with sum only
    NormTerms terms;
};

template <int Width>
__device__ __forceinline__ Floats<Width> fetch(NormArguments const& arguments, std::size_t row,
                                               std::size_t col) {
    auto pack = load_floats<Width>(row_of(arguments.x, row), DType::f32, col);
    if (arguments.sum.data == nullptr) return pack;
    auto const delta = load_floats<Width>(row_of(arguments.delta, row), DType::f32, col);
    for (int i = 0; i < Width; ++i) pack.at[i] += delta.at[i];
    store_floats<Width>(row_of(arguments.sum, row), DType::f32, col, pack);
    return pack;
}

template <NormKind kind, int Width, int Packs, class Target>
__global__ void __launch_bounds__(most_norm_threads)
    norm_kernel(NormArguments arguments, Target target) {
    let_next_grid_start();
    prefetch_weight(arguments.terms);
    wait_for_previous_grid();
    std::size_t const index = blockIdx.x;
    Row<Width, Packs> const row(row_of(arguments.x, index), arguments.x.cols, [&](std::size_t col) {
        return fetch<Width>(arguments, index, col);
    });
    target.write(row, Normed<kind, Width>(row, arguments.terms), index);
}

template <NormKind kind, int Width, class Target>
void launch_norm(NormArguments const& arguments, Target const& target, cudaStream_t stream) {
    NormBlock const block(arguments.x.cols / Width);
    auto* const kernel = block.held <= 1   ? norm_kernel<kind, Width, 1, Target>
                         : block.held <= 2 ? norm_kernel<kind, Width, 2, Target>
                         : block.held <= 4 ? norm_kernel<kind, Width, 4, Target>
                                           : norm_kernel<kind, Width, 8, Target>;
    launch_dependent(kernel,
                     {.grid = static_cast<unsigned>(arguments.x.rows), .block = block.threads},
                     stream, arguments, target);
}

template <NormKind kind, class Target>
void launch_norm(NormArguments const& a, Target const& target, cudaStream_t stream) {
    if (a.x.rows == 0 || a.x.cols == 0) return;
    constexpr int width = 4;
    bool const aligned = a.x.cols % width == 0 && rows_aligned(a.x) && rows_aligned(a.delta) &&
                         rows_aligned(a.terms.weight) && rows_aligned(a.terms.bias) &&
                         target.aligned();
    if (aligned) {
        launch_norm<kind, width>(a, target, stream);
    } else {
        launch_norm<kind, 1>(a, target, stream);
    }
}

NormArguments norm_of(ConstTensorView const& x, NormTerms const& terms) {
    return {.sum = {}, .x = x, .delta = {}, .terms = terms};
}

NormArguments norm_of_sum(TensorView const& residual, ConstTensorView const& delta,
                          NormTerms const& terms) {
    return {.sum = residual, .x = residual, .delta = delta, .terms = terms};
}

template <int Width>
__global__ void __launch_bounds__(most_norm_threads)
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
    launch_norm<NormKind::root_mean_square>(norm_of(x, {weight, {}, eps}), PlainTarget{y},
                                            stream());
}

void CudaBackend::add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                               float eps, TensorView y) {
    contracts::add_norm(residual, delta, weight, y);
    launch_norm<NormKind::root_mean_square>(norm_of_sum(residual, delta, {weight, {}, eps}),
                                            PlainTarget{y}, stream());
}

void CudaBackend::layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                             float eps, TensorView y) {
    contracts::norm(x, weight, bias, y);
    launch_norm<NormKind::layer>(norm_of(x, {weight, bias, eps}), PlainTarget{y}, stream());
}

void CudaBackend::rms_norm_quantised(ConstTensorView x, ConstTensorView weight, float eps,
                                     QuantisedRows y) {
    contracts::norm_quantised(x, weight, {}, y);
    launch_norm<NormKind::root_mean_square>(norm_of(x, {weight, {}, eps}), QuantisedTarget{y},
                                            stream());
}

void CudaBackend::add_rms_norm_quantised(TensorView residual, ConstTensorView delta,
                                         ConstTensorView weight, float eps, QuantisedRows y) {
    contracts::add_norm_quantised(residual, delta, weight, y);
    launch_norm<NormKind::root_mean_square>(norm_of_sum(residual, delta, {weight, {}, eps}),
                                            QuantisedTarget{y}, stream());
}

void CudaBackend::layer_norm_quantised(ConstTensorView x, ConstTensorView weight,
                                       ConstTensorView bias, float eps, QuantisedRows y) {
    contracts::norm_quantised(x, weight, bias, y);
    launch_norm<NormKind::layer>(norm_of(x, {weight, bias, eps}), QuantisedTarget{y}, stream());
}

void CudaBackend::square_sums(ConstTensorView x, TensorView y) {
    contracts::square_sums(x, y);
    constexpr int width = 8;
    bool const aligned = x.cols % width == 0 && rows_aligned(x);
    std::size_t const packs = std::max<std::size_t>(x.cols / (aligned ? width : 1), 1);
    launch_dependent(aligned ? square_sums_kernel<width> : square_sums_kernel<1>,
                     {.grid = static_cast<unsigned>(x.rows), .block = NormBlock(packs).threads},
                     stream(), x, y);
}

void CudaBackend::scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                                       ConstTensorView weight, float eps) {
    contracts::scale_by_square_sums(x, sums, width, weight);
    for_each_pack(stream(), {x.rows, x.cols}, rows_aligned(x) && rows_aligned(weight),
                  ScaleBySquareSums{x, sums, static_cast<float>(width), weight, eps});
}

}  // namespace tesserank::kernels::cuda
