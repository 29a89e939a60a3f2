#pragma once

#include "kernels/backend.hpp"
#include "model/placement.hpp"
#include "parallel/layout.hpp"

#include <cstdint>
#include <utility>

namespace tesserank::model {

/// Token embedding. shard: each rank holds the rows of its part of the vocabulary, and gives zeros
/// for the others.
class Embedding {
  public:
    /// table: the rows of [V, H] that this rank holds, from row `first` on.
    Embedding(kernels::ConstTensorView table, std::size_t first) : table_{table}, first_{first} {}

    /// Embeds the tokens of the rows that this rank has in `layout`: ids [T] of the whole step, y
    /// [T, H] f32 for the whole.
    parallel::AnyActivation forward(kernels::Backend& backend,
                                    kernels::DeviceSpan<std::int32_t const> ids,
                                    parallel::Layout const& layout, int rank,
                                    kernels::TensorView y) const;

  private:
    kernels::ConstTensorView table_;
    std::size_t first_;
};

/// The output matrix. shard: each rank gives the logits of its part of the vocabulary.
class LmHead {
  public:
    LmHead(kernels::ConstTensorView table, parallel::Partition cut, Placement placement)
        : table_{table}, cut_{std::move(cut)}, placement_{placement} {}

    /// x [T, H] in the compute dtype, in the layout of the placement -> y [T, v] f32, HiddenSharded
    /// under shard, else in the layout of x. y has as many rows as x has here.
    parallel::AnyActivation forward(kernels::Backend& backend, parallel::AnyActivation const& x,
                                    kernels::TensorView y) const;

  private:
    kernels::ConstTensorView table_;
    parallel::Partition cut_;
    Placement placement_;
};

}  // namespace tesserank::model
