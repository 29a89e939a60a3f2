#pragma once

#include "kernels/backend.hpp"
#include "model/placement.hpp"
#include "parallel/layout.hpp"

#include <cstdint>
#include <span>

namespace tesserank::model {

/// Token embedding. shard: each rank holds the rows of its part of the vocabulary, and gives zeros
/// for the others.
class Embedding {
  public:
    /// table: the rows range of [V, H] that this rank holds.
    Embedding(kernels::ConstTensorView table, parallel::Range rows, Placement placement);

    /// ids [T] -> y [T, H] f32, Partial or Replicated.
    parallel::AnyActivation forward(kernels::Backend& backend, std::span<std::int32_t const> ids,
                                    kernels::TensorView y) const;

  private:
    kernels::ConstTensorView table_;
    parallel::Range rows_;
    Placement placement_;
};

/// The output matrix. shard: each rank gives the logits of its part of the vocabulary.
class LmHead {
  public:
    LmHead(kernels::ConstTensorView table, parallel::Partition cut, Placement placement);

    /// x [T, H] in the compute dtype -> y [T, v] f32, HiddenSharded or Replicated; y has width()
    /// columns.
    parallel::AnyActivation forward(kernels::Backend& backend,
                                    parallel::Activation<parallel::Replicated> x,
                                    kernels::TensorView y) const;

    /// Columns of this rank's logits.
    std::size_t width() const { return table_.rows; }

  private:
    kernels::ConstTensorView table_;
    parallel::Partition cut_;
    Placement placement_;
};

}  // namespace tesserank::model
