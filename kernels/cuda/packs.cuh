#pragma once

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/floats.cuh"
#include "kernels/tensor.hpp"

#include <algorithm>
#include <cstddef>

/// Work on single elements of matrices: each thread takes neighbouring ones, as many as are moved
/// at once where the rows are aligned.
namespace tesserank::kernels::cuda {

template <class Pointer>
__device__ __forceinline__ Pointer row_of(BasicTensorView<Pointer> const& view, std::size_t row) {
    return view.data + row * view.stride * size_of(view.dtype);
}

struct Area {
    std::size_t rows = 0, cols = 0;
};

/// Calls work.run<Width>(row, col) for every pack of `Width` columns, and run<1> at the end of rows
/// that do not divide.
template <int Width, class Work>
__global__ void for_each_pack_kernel(Area area, Work work) {
    let_next_grid_start();
    wait_for_previous_grid();
    std::size_t const first = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) * Width;
    if (first >= area.cols) return;
    for (std::size_t row = blockIdx.y; row < area.rows; row += gridDim.y) {
        if (Width == 1 || first + Width <= area.cols) {
            work.template run<Width>(row, first);
        } else {
            for (std::size_t col = first; col < area.cols; ++col) work.template run<1>(row, col);
        }
    }
}

/// Queues it. `aligned`: all rows of the matrices begin at multiples of 16 bytes.
template <class Work>
void for_each_pack(cudaStream_t stream, Area area, bool aligned, Work const& work) {
    constexpr std::size_t widest = 8, threads = 256, most_rows = 65535;
    std::size_t const width = aligned ? widest : 1;
    std::size_t const packs = (area.cols + width - 1) / width;
    auto const block =
        static_cast<unsigned>(std::min((packs + warp_size - 1) / warp_size * warp_size, threads));
    if (block == 0 || area.rows == 0) return;
    LaunchShape const shape{.grid = {static_cast<unsigned>((packs + block - 1) / block),
                                     static_cast<unsigned>(std::min(area.rows, most_rows))},
                            .block = block};
    launch_dependent(aligned ? for_each_pack_kernel<widest, Work> : for_each_pack_kernel<1, Work>,
                     shape, stream, area, work);
}

/// Rows that follow each other without gaps are one long row, so that short ones fill blocks too.
template <class... Views>
Area join_rows(Area area, Views&... views) {
    if (area.rows <= 1 || (... || (views.stride != views.cols))) return area;
    auto const join = [&](auto& view) {
        view.cols = view.stride = area.rows * area.cols;
        view.rows = 1;
    };
    (join(views), ...);
    return {1, area.rows * area.cols};
}

}  // namespace tesserank::kernels::cuda
