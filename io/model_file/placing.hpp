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

/// Writes consecutive elements of a request's region to their place on the device. `width` is the
/// tensor's number of columns.
void deliver(kernels::Backend& backend, std::span<std::byte const> bytes,
             model::WeightRequest const& request, model::Region const& region, std::size_t width,
             ElementRun run);

/// Delivers what `rank` needs of a block whose bytes are all there.
void place_block(kernels::Backend& backend, Block const& block, std::span<std::byte const> bytes,
                 Wishes const& wishes, int rank);

}  // namespace tesserank::io
