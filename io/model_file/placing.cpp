#include "io/model_file/placing.hpp"

#include "io/model_file/region.hpp"
#include "kernels/error.hpp"

namespace tesserank::io {

using kernels::require;
using model::Region;
using model::WeightRequest;

bool is_empty(Region const& region) { return region.rows.count == 0 || region.cols.count == 0; }

void check_request(WeightRequest const& request, StoredTensor const& tensor, int rank, int ranks) {
    require(request.regions.size() == static_cast<std::size_t>(ranks),
            "one region for each rank is needed of tensor " + request.tensor);
    for (auto const& region : request.regions) {
        require(is_empty(region) ||
                    (region.rows.end() <= tensor.rows() && region.cols.end() <= tensor.cols()),
                "a region lies outside tensor " + request.tensor);
    }
    auto const& mine = request.regions[static_cast<std::size_t>(rank)];
    auto const& destination = request.destination;
    require(is_empty(mine) ||
                (destination.dtype == tensor.dtype && destination.rows == mine.rows.count &&
                 destination.cols == mine.cols.count && destination.stride >= destination.cols),
            "the destination does not fit the region of tensor " + request.tensor);
}

void deliver(kernels::Backend& backend, std::byte const* bytes, std::size_t stride,
             WeightRequest const& request, Region const& region, Region const& part) {
    kernels::ConstTensorView const source = kernels::BasicTensorView<std::byte const*>{
        bytes, request.destination.dtype, part.rows.count, part.cols.count, stride};
    backend.copy_from_staging(
        source, request.destination.rows_from(part.rows.begin - region.rows.begin, source.rows)
                    .cols_from(part.cols.begin - region.cols.begin, source.cols));
}

void place_block(kernels::Backend& backend, Block const& block, std::span<std::byte const> bytes,
                 Wishes const& wishes, int rank) {
    auto const run = run_of(block);
    auto const width = block.tensor->cols();
    auto const size = kernels::size_of(block.tensor->dtype);
    for (auto const* const request : wishes) {
        auto const& region = request->regions[static_cast<std::size_t>(rank)];
        visit_rectangles(region, width, run, [&](Region const& part) {
            auto const first = part.rows.begin * width + part.cols.begin - run.first;
            deliver(backend, bytes.data() + first * size, width, *request, region, part);
        });
    }
}

}  // namespace tesserank::io
