#pragma once

#include "kernels/backend.hpp"
#include "model/kv_cache.hpp"
#include "model/step.hpp"
#include "model/workspace.hpp"
#include "parallel/redistribute.hpp"

namespace tesserank::model {

/// The rows of a step that a module computes on this rank.
struct Rows {
    kernels::Segments segments;
    kernels::ConstTensorView cos_sin;  ///< [T, D] f32 in the backend's memory
};

/// What a forward pass of the decoder hands to each module.
struct TextContext {
    kernels::Backend& backend;
    Workspace& workspace;
    KvCache& cache;
    parallel::Redistributor& redistribute;  ///< for the sums of norms over a dimension that is cut
    Step::Phase phase;
    kernels::DType compute;  ///< f32 or bf16: what GEMMs read besides weights
    kernels::DType inner;    ///< f32 or bf16: what GEMMs within a module write
    Rows all;                ///< every row
    Rows own;                ///< of the sequences that this rank owns
};

}  // namespace tesserank::model
