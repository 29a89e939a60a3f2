#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/packs.cuh"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tesserank::kernels::cuda {
namespace {

// Cutting and shuffling move numbers and happen once for a picture: a block for each row that is
// written, its threads along the row, so that writes are coalesced and reads are runs of a patch or
// a token. Threads divide for each number: in 32 bits, which a GPU does several times faster than
// in 64.
constexpr unsigned block_threads = 256;

/// Blocks of a grid; each takes rows at this distance.
unsigned row_blocks(TensorView const& y) {
    require(y.cols <= std::numeric_limits<std::int32_t>::max(), "a row of 2^31 or more numbers");
    constexpr std::size_t most = 65536;
    return static_cast<unsigned>(std::min(y.rows, most));
}

template <class Out>
__global__ void cut_patches_kernel(ConstTensorView pixels, PatchShape shape, TensorView y) {
    auto const patch = static_cast<std::uint32_t>(shape.patch), area = patch * patch;
    std::size_t const down = shape.height / patch, across = shape.width / patch;
    for (std::size_t row = blockIdx.x; row < y.rows; row += gridDim.x) {
        std::size_t const first_plane = row / (down * across) * shape.channels;
        std::size_t const top = row / across % down * patch;
        std::size_t const left = row % across * patch;
        Out* const to = reinterpret_cast<Out*>(y.data) + row * y.stride;
        for (std::uint32_t col = threadIdx.x; col < y.cols; col += blockDim.x) {
            std::uint32_t const plane = col / area, in_patch = col % area;
            std::size_t const i = top + in_patch / patch, j = left + in_patch % patch;
            float const* const from =
                reinterpret_cast<float const*>(pixels.data) + (first_plane + plane) * pixels.stride;
            to[col] = store_float<Out>(from[i * shape.width + j]);
        }
    }
}

template <class Out>
__global__ void pixel_shuffle_kernel(ConstTensorView x, ShuffleShape shape, TensorView y) {
    auto const factor = static_cast<std::uint32_t>(shape.factor);
    auto const token_cols = static_cast<std::uint32_t>(x.cols);
    std::size_t const down = shape.height / factor, across = shape.width / factor;
    for (std::size_t row = blockIdx.x; row < y.rows; row += gridDim.x) {
        std::size_t const grid = row / (down * across), square = row % (down * across);
        std::size_t const i = shape.by_columns ? square % down : square / across;
        std::size_t const j = shape.by_columns ? square / down : square % across;
        Out* const to = reinterpret_cast<Out*>(y.data) + row * y.stride;
        for (std::uint32_t col = threadIdx.x; col < y.cols; col += blockDim.x) {
            std::uint32_t const part = col / token_cols;
            std::size_t const a = i * factor + part / factor;
            std::size_t const b = j * factor + part % factor;
            std::size_t const token = (grid * shape.height + a) * shape.width + b;
            to[col] = store_float<Out>(
                reinterpret_cast<float const*>(x.data)[token * x.stride + col % token_cols]);
        }
    }
}

/// y = the class token or a patch, plus its position
struct AddPositions {
    ConstTensorView patches, class_token, positions;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        std::size_t const picture = row / positions.rows, place = row % positions.rows;
        std::size_t const patch = picture * (positions.rows - 1) + place - 1;
        auto sums = place == 0 ? load_floats<Width>(class_token.data, class_token.dtype, col)
                               : load_floats<Width>(row_of(patches, patch), DType::f32, col);
        auto const terms = load_floats<Width>(row_of(positions, place), positions.dtype, col);
        for (int i = 0; i < Width; ++i) sums.at[i] += terms.at[i];
        store_floats<Width>(row_of(y, row), DType::f32, col, sums);
    }
};

}  // namespace

void CudaBackend::cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) {
    contracts::cut_patches(pixels, shape, y);
    auto* const kernel =
        y.dtype == DType::f32 ? cut_patches_kernel<float> : cut_patches_kernel<BFloat16>;
    launch(kernel, {.grid = row_blocks(y), .block = block_threads}, stream(), pixels, shape, y);
}

void CudaBackend::add_positions(ConstTensorView patches, ConstTensorView class_token,
                                ConstTensorView positions, TensorView y) {
    contracts::add_positions(patches, class_token, positions, y);
    bool const aligned = rows_aligned(patches) && rows_aligned(class_token) &&
                         rows_aligned(positions) && rows_aligned(y);
    for_each_pack(stream(), {y.rows, y.cols}, aligned,
                  AddPositions{patches, class_token, positions, y});
}

void CudaBackend::pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) {
    contracts::pixel_shuffle(x, shape, y);
    auto* const kernel =
        y.dtype == DType::f32 ? pixel_shuffle_kernel<float> : pixel_shuffle_kernel<BFloat16>;
    launch(kernel, {.grid = row_blocks(y), .block = block_threads}, stream(), x, shape, y);
}

}  // namespace tesserank::kernels::cuda
