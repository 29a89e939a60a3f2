#pragma once

#include "kernels/backend.hpp"
#include "parallel/layout.hpp"

#include <concepts>

namespace tesserank::model {

/// Each rank holds the columns of its own units (heads, MLP columns). Never leaves a module.
struct UnitSharded {};

/// How a module's work is spread, by its placement: the layouts of what it takes, of what lies
/// between its parts, and of what it gives, as types.
struct Sharded {
    using Input = parallel::Replicated;
    using Inner = UnitSharded;
    using Output = parallel::Partial;
};
struct Whole {
    using Input = parallel::Replicated;
    using Inner = parallel::Replicated;
    using Output = parallel::Replicated;
};
struct SplitBatch {
    using Input = parallel::BatchSharded;
    using Inner = parallel::BatchSharded;
    using Output = parallel::BatchSharded;
};
struct Single {
    using Input = parallel::OnRank;
    using Inner = parallel::OnRank;
    using Output = parallel::OnRank;
};

/// What a rank holds of a linear layer's weights.
struct LinearWeights {
    kernels::ConstTensorView weight, bias;  ///< [n, k]; [1, n] or no data
    kernels::ConstTensorView scales{};      ///< [1, n] of an f8e4m3 weight, else no data
};

/// y = x W^T + bias on this rank's share of W.  No communication.
///
///     Linear<Replicated, UnitSharded>   column-parallel   x [T, H] -> y [T, n]
///     Linear<UnitSharded, Partial>      row-parallel      x [T, k] -> y [T, H], a sum is pending
///     Linear<L, L>                      whole, on the rows that the rank has
template <class In, class Out>
struct Linear : LinearWeights {
    parallel::Activation<Out> operator()(kernels::Backend& backend, parallel::Activation<In> x,
                                         kernels::TensorView y) const {
        if (x.scales.data != nullptr) {
            backend.gemm_quantised({x.local, x.scales}, weight, scales, bias, y);
        } else if (scales.data == nullptr) {
            backend.gemm(x.local, weight, bias, y);
        } else {
            backend.gemm_scaled(x.local, weight, scales, bias, y);
        }
        if constexpr (std::same_as<In, Out>) {
            return {y, x.layout};
        } else {
            return {y, {}};
        }
    }

    /// Whether this would quantise as many rows as x [T, k] has before it multiplies them; they may
    /// then be given quantised, in x's memory.
    bool quantises(kernels::Backend& backend, kernels::TensorView const& x,
                   kernels::TensorView const& y) const {
        bool const possible =
            scales.data != nullptr && x.dtype == kernels::DType::bf16 && x.cols % 16 == 0;
        return possible && backend.quantises(kernels::quantised_in(x), weight, scales, bias, y);
    }
};

}  // namespace tesserank::model
