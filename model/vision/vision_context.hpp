#pragma once

#include "kernels/backend.hpp"
#include "model/workspace.hpp"
#include "parallel/redistribute.hpp"

namespace tesserank::model {

/// What a pass of tiles through the vision encoder hands to each module.
struct VisionContext {
    kernels::Backend& backend;
    Workspace& workspace;
    parallel::Redistributor& redistribute;  ///< for the sums of norms over a dimension that is cut
    kernels::DType compute;                 ///< f32 or bf16: what GEMMs read besides weights
    kernels::DType inner;                   ///< f32 or bf16: what GEMMs within a module write
    kernels::Segments all;                  ///< a segment for each tile
    kernels::Segments own;                  ///< of the tiles that are dealt out to this rank
};

}  // namespace tesserank::model
