#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace tesserank::kernels::cuda {
namespace {

// Both operations move numbers and happen once for a picture: a block for each row that is written,
// its threads along the row, so that writes are coalesced and reads are runs of a patch or a token.
constexpr unsigned block_threads = 256;

/// Blocks of a grid; each takes rows at this distance.
unsigned row_blocks(std::size_t rows) {
    constexpr std::size_t most = 65536;
    return static_cast<unsigned>(rows < most ? rows : most);
}

template <class Out>
__global__ void cut_patches_kernel(ConstTensorView pixels, PatchShape shape, TensorView y) {
    std::size_t const down = shape.height / shape.patch, across = shape.width / shape.patch;
    std::size_t const area = shape.patch * shape.patch;
    for (std::size_t row = blockIdx.x; row < y.rows; row += gridDim.x) {
        std::size_t const first_plane = row / (down * across) * shape.channels;
        std::size_t const top = row / across % down * shape.patch;
        std::size_t const left = row % across * shape.patch;
        Out* const to = reinterpret_cast<Out*>(y.data) + row * y.stride;
        for (std::size_t col = threadIdx.x; col < y.cols; col += blockDim.x) {
            std::size_t const plane = first_plane + col / area;
            std::size_t const i = top + col % area / shape.patch, j = left + col % shape.patch;
            float const* const from =
                reinterpret_cast<float const*>(pixels.data) + plane * pixels.stride;
            to[col] = store_float<Out>(from[i * shape.width + j]);
        }
    }
}

template <class Out>
__global__ void pixel_shuffle_kernel(ConstTensorView x, ShuffleShape shape, TensorView y) {
    std::size_t const down = shape.height / shape.factor, across = shape.width / shape.factor;
    for (std::size_t row = blockIdx.x; row < y.rows; row += gridDim.x) {
        std::size_t const grid = row / (down * across), square = row % (down * across);
        std::size_t const i = shape.by_columns ? square % down : square / across;
        std::size_t const j = shape.by_columns ? square / down : square % across;
        Out* const to = reinterpret_cast<Out*>(y.data) + row * y.stride;
        for (std::size_t col = threadIdx.x; col < y.cols; col += blockDim.x) {
            std::size_t const part = col / x.cols;
            std::size_t const a = i * shape.factor + part / shape.factor;
            std::size_t const b = j * shape.factor + part % shape.factor;
            std::size_t const token = (grid * shape.height + a) * shape.width + b;
            to[col] = store_float<Out>(
                reinterpret_cast<float const*>(x.data)[token * x.stride + col % x.cols]);
        }
    }
}

}  // namespace

void CudaBackend::cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) {
    contracts::cut_patches(pixels, shape, y);
    auto* const kernel =
        y.dtype == DType::f32 ? cut_patches_kernel<float> : cut_patches_kernel<BFloat16>;
    launch(kernel, {.grid = row_blocks(y.rows), .block = block_threads}, stream(), pixels, shape,
           y);
}

void CudaBackend::pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) {
    contracts::pixel_shuffle(x, shape, y);
    auto* const kernel =
        y.dtype == DType::f32 ? pixel_shuffle_kernel<float> : pixel_shuffle_kernel<BFloat16>;
    launch(kernel, {.grid = row_blocks(y.rows), .block = block_threads}, stream(), x, shape, y);
}

}  // namespace tesserank::kernels::cuda
