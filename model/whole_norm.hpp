#pragma once

#include "kernels/backend.hpp"
#include "model/workspace.hpp"
#include "parallel/redistribute.hpp"

#include <cstddef>

namespace tesserank::model {

/// rms_norm of whole rows of q and of k, all heads together; see QkNorm::whole.
struct WholeNorm {
    kernels::ConstTensorView query, key;             ///< [1, q*D], [1, k*D]: of this rank's heads
    std::size_t query_columns = 0, key_columns = 0;  ///< of all ranks
    float eps = 0.0F;

    /// This rank's heads of q [T, q*D] and k [T, k*D], normed in place. `sums` [T, 2] f32 is
    /// scratch. The first `shared` columns of k count on another rank, which has them too.
    /// `redistribute`: where heads are cut over ranks, which then tell each other the sums of their
    /// squares: two numbers for each row, an all-reduce; null where each rank has whole rows.
    void operator()(kernels::Backend& backend, parallel::Redistributor* redistribute,
                    kernels::TensorView q, kernels::TensorView k, std::size_t shared,
                    kernels::TensorView sums) const;

    /// What the sums take of the workspace.
    static std::size_t workspace(std::size_t rows) {
        return Workspace::bytes_of(kernels::DType::f32, rows, 2);
    }
};

}  // namespace tesserank::model
