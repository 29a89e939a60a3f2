#pragma once

#include "kernels/backend.hpp"
#include "parallel/layout.hpp"

namespace tesserank::model {

/// Each rank holds the columns of its own units (heads, MLP columns). Never leaves a module.
struct UnitSharded {};

/// How a module's work is spread when its weights are cut, or whole: the layouts between its parts,
/// as types.
struct Sharded {
    using Inner = UnitSharded;
    using Output = parallel::Partial;
};
struct Whole {
    using Inner = parallel::Replicated;
    using Output = parallel::Replicated;
};

/// y = x W^T + bias on this rank's share of W.  W [n, k], bias [1, n] or no data.  No
/// communication.
///
///     Linear<Replicated, UnitSharded>   column-parallel   x [T, H] -> y [T, n]
///     Linear<UnitSharded, Partial>      row-parallel      x [T, k] -> y [T, H], a sum is pending
///     Linear<Replicated, Replicated>    whole
template <class In, class Out>
struct Linear {
    kernels::ConstTensorView weight, bias;

    parallel::Activation<Out> operator()(kernels::Backend& backend, parallel::Activation<In> x,
                                         kernels::TensorView y) const {
        backend.gemm(x.local, weight, bias, y);
        return {y, {}};
    }
};

}  // namespace tesserank::model
