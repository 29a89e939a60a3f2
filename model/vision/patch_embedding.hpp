#pragma once

#include "kernels/backend.hpp"
#include "model/forward_memory.hpp"
#include "model/linear.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/vision/vision_context.hpp"
#include "model/vision_config.hpp"
#include "model/weight_store.hpp"
#include "parallel/layout.hpp"

#include <cstddef>

namespace tesserank::model {

/// The rows that a vision encoder computes with, from the patches of its tiles: a product with the
/// convolution's weights, the class token before each tile's patches, and positions.  shard: each
/// rank has some of the columns, HiddenSharded out.
class PatchEmbedding {
  public:
    /// Says what weights are needed, and allocates a table of positions for the tiles' grid where
    /// the file has one of another size.
    PatchEmbedding(VisionConfig const& config, ModuleSpec const& spec, PlacementPlan const& plan,
                   int rank, kernels::Backend& backend, WeightStore& weights);

    /// When the weights are loaded: fills that table. No communication.
    void fit_positions(kernels::Backend& backend);

    /// patches [n*P, C*p*p] in the compute dtype, in the layout of the placement; whole [n*(P+1),
    /// Hv] f32 is memory for all rows, in which this rank's part comes to lie: at its place, or,
    /// where columns are cut, packed at the front. rows: the layout of rows that goes with that of
    /// the patches. No communication.
    parallel::AnyActivation forward(VisionContext& context, kernels::ConstTensorView patches,
                                    parallel::Layout const& rows, kernels::TensorView whole) const;

  private:
    std::size_t from_side_, to_side_;  ///< patches across
    Placement placement_;
    parallel::Partition cut_;  ///< of the columns, under shard
    std::size_t columns_;      ///< on this rank
    int rank_;
    LinearWeights patch_;
    kernels::ConstTensorView class_token_, positions_;
    kernels::Tensor fitted_;  ///< [P+1, h] f32
};

/// Bytes of the table of positions of a rank with so many columns; 0 where the file's will do.
std::size_t fitted_position_bytes(VisionConfig const& config, std::size_t columns);

/// Bytes that it takes of the workspace for so many patches with so many columns on this rank.
inline std::size_t patch_embedding_workspace(std::size_t patches, std::size_t columns) {
    return Workspace::bytes_of(kernels::DType::f32, patches, columns);
}

}  // namespace tesserank::model
