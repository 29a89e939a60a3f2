#pragma once

#include "kernels/backend.hpp"
#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/norm_row.cuh"
#include "kernels/cuda/packs.cuh"
#include "kernels/cuda/quantised_packs.cuh"
#include "kernels/quantisation.hpp"

#include <cstddef>
#include <cstdint>

/// What becomes of normed rows.
namespace tesserank::kernels::cuda {

/// Where normed rows go as they are.
struct PlainTarget {
    TensorView y;

    bool aligned() const { return rows_aligned(y); }

    template <int Width, int Packs, class Normed>
    __device__ void write(Row<Width, Packs> const& row, Normed const& normed,
                          std::size_t index) const {
        row.for_each([&](Floats<Width> const& pack, std::size_t col) {
            store_floats<Width>(row_of(y, index), y.dtype, col, normed(pack, col));
        });
    }
};

/// Where they are rounded to bf16 and quantised. The norm is computed twice, which costs less than
/// the registers that would hold it.
struct QuantisedTarget {
    QuantisedRows y;

    bool aligned() const { return rows_aligned(y.values); }

    template <int Width, int Packs, class Normed>
    __device__ void write(Row<Width, Packs> const& row, Normed const& normed,
                          std::size_t index) const {
        auto const rounded = [&](Floats<Width> const& pack, std::size_t col) {
            auto result = normed(pack, col);
            for (float& value : result.at) value = to_float(store_float<BFloat16>(value));
            return result;
        };
        std::uint32_t most = 0;
        row.for_each([&](Floats<Width> const& pack, std::size_t col) {
            for (float const value : rounded(pack, col).at) most = max(most, magnitude_bits(value));
        });
        float const scale = scale_of_largest(__uint_as_float(block_max(most)));
        if (threadIdx.x == 0) reinterpret_cast<float*>(y.scales.data)[index] = scale;
        auto* const to = reinterpret_cast<Float8*>(row_of(y.values, index));
        row.for_each([&](Floats<Width> const& pack, std::size_t col) {
            store_quantised<Width>(to + col, rounded(pack, col), scale);
        });
    }
};

}  // namespace tesserank::kernels::cuda
