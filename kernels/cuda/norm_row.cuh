#pragma once

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/floats.cuh"
#include "kernels/tensor.hpp"

#include <algorithm>
#include <cstddef>

/// A block for each row, which it reads once: the row stays in registers until its sums are known.
/// The shape of a block, and with it the order of the sums, depends on the width alone. A row of
/// 4096 columns takes 512 threads with two packs of 16 bytes each: enough loads under way to hide
/// the way to memory also when a decode step has one row, and four such blocks fill a
/// multiprocessor when there are many.
namespace tesserank::kernels::cuda {

enum class NormKind { root_mean_square, layer };

/// What makes a normed row of a row.
struct NormTerms {
    ConstTensorView weight, bias;  ///< bias of a layer norm, or no data
    float eps = 0.0F;
};

inline constexpr unsigned most_norm_threads = 512;

/// The same in all threads.
__device__ __forceinline__ float block_sum(float value) {
    __shared__ float parts[most_norm_threads / warp_size];
    value = warp_sum(value);
    __syncthreads();  // an earlier sum has been read
    if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
    __syncthreads();
    unsigned const lane = threadIdx.x % warp_size;
    return warp_sum(lane < blockDim.x / warp_size ? parts[lane] : 0.0F);
}

/// A row of f32 of which each thread holds `Packs` packs; columns behind those of all threads are
/// read from memory whenever they are needed.
template <int Width, int Packs>
class Row {
  public:
    /// fetch(first column) gives a pack of the row and sees to it that the row's memory holds it;
    /// called once for each pack.
    template <class Fetch>
    __device__ Row(std::byte const* memory, std::size_t cols, Fetch const& fetch)
        : memory_{memory}, cols_{cols} {
#pragma unroll
        for (int i = 0; i < Packs; ++i) {
            if (column(i) < cols_) held_[i] = fetch(column(i));
        }
        for (std::size_t c = column(Packs); c < cols_; c += step()) fetch(c);
    }

    __device__ std::size_t cols() const { return cols_; }

    /// work(pack, first column) for the columns of this thread.
    template <class Work>
    __device__ void for_each(Work const& work) const {
#pragma unroll
        for (int i = 0; i < Packs; ++i) {
            if (column(i) < cols_) work(held_[i], column(i));
        }
        for (std::size_t c = column(Packs); c < cols_; c += step()) {
            work(load_floats<Width>(memory_, DType::f32, c), c);
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

    std::byte const* memory_;
    std::size_t cols_;
    Floats<Width> held_[Packs];
};

/// The norm of a row, pack by pack.
template <NormKind kind, int Width>
class Normed {
  public:
    template <int Packs>
    __device__ Normed(Row<Width, Packs> const& row, NormTerms const& terms) : terms_{terms} {
        auto const width = static_cast<float>(row.cols());
        if (kind == NormKind::layer) mean_ = row.sum_of([](float x) { return x; }) / width;
        float const mean = mean_;
        float const squares = row.sum_of([=](float x) { return (x - mean) * (x - mean); });
        scale_ = 1.0F / sqrtf(squares / width + terms.eps);
    }

    __device__ __forceinline__ Floats<Width> operator()(Floats<Width> pack, std::size_t col) const {
        auto const factors = load_floats<Width>(terms_.weight.data, terms_.weight.dtype, col);
        for (int i = 0; i < Width; ++i) pack.at[i] = (pack.at[i] - mean_) * scale_ * factors.at[i];
        if (kind == NormKind::layer && terms_.bias.data != nullptr) {
            auto const offsets = load_floats<Width>(terms_.bias.data, terms_.bias.dtype, col);
            for (int i = 0; i < Width; ++i) pack.at[i] += offsets.at[i];
        }
        return pack;
    }

  private:
    NormTerms const& terms_;
    float mean_ = 0.0F, scale_ = 0.0F;
};

/// Starts reading a norm's weight, which no kernel writes.
__device__ __forceinline__ void prefetch_weight(NormTerms const& terms) {
    constexpr unsigned line_bytes = 128;
    if (threadIdx.x * line_bytes < terms.weight.cols * size_of(terms.weight.dtype)) {
        prefetch_l2(terms.weight.data + threadIdx.x * line_bytes);
    }
}

/// Threads of a block for rows of so many packs, and the packs that each of them has to hold.
struct NormBlock {
    explicit NormBlock(std::size_t packs)
        : threads{static_cast<unsigned>(std::min<std::size_t>(
              (packs + warp_size - 1) / warp_size * warp_size, most_norm_threads))},
          held{(packs + threads - 1) / threads} {}

    unsigned threads;
    std::size_t held;
};

}  // namespace tesserank::kernels::cuda
