#pragma once

#include "io/model_file/load_rounds.hpp"
#include "kernels/backend.hpp"

#include <cstddef>
#include <span>

namespace tesserank::io {

bool is_empty(model::Region const& region);

/// Errors: LogicError unless the request has a region inside the tensor for each rank, and a
/// destination that fits that of `rank`.
void check_request(model::WeightRequest const& request, StoredTensor const& tensor, int rank,
                   int ranks);

/// Writes a part of a request's region, which is a rectangle of the tensor, to its place on the
/// device. `bytes` are staging memory where its rows lie `stride` elements apart.
void deliver(kernels::Backend& backend, std::byte const* bytes, std::size_t stride,
             model::WeightRequest const& request, model::Region const& region,
             model::Region const& part);

/// Delivers what `rank` needs of a block whose bytes are all there.
void place_block(kernels::Backend& backend, Block const& block, std::span<std::byte const> bytes,
                 Wishes const& wishes, int rank);

}  // namespace tesserank::io
