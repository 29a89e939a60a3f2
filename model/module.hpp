#pragma once

#include "kernels/backend.hpp"
#include "model/kv_cache.hpp"
#include "model/step.hpp"
#include "model/workspace.hpp"
#include "parallel/layout.hpp"

namespace tesserank::model {

/// What a forward pass hands to each module.
struct Context {
    kernels::Backend& backend;
    Workspace& workspace;
    KvCache& cache;
    Step const& step;
    kernels::ConstTensorView cos_sin;  ///< [T, D] f32 in the backend's memory
    kernels::DType compute;            ///< f32 or bf16: what GEMMs read besides weights
};

/// A placed part of the model. Its weights are this rank's share; the layout of what it gives tells
/// what the ranks must do before the next module.
class Module {
  public:
    virtual ~Module() = default;

    /// x [T, H] in the compute dtype; y [T, H or V] f32 receives this rank's part of the result. No
    /// communication.
    virtual parallel::AnyActivation forward(Context& context,
                                            parallel::Activation<parallel::Replicated> x,
                                            kernels::TensorView y) const = 0;

    /// Bytes that forward() takes of the workspace for T rows.
    virtual std::size_t workspace_bytes(std::size_t rows, kernels::DType compute) const = 0;
};

}  // namespace tesserank::model
