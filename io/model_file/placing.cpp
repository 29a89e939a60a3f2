#include "io/model_file/placing.hpp"

#include "io/model_file/region.hpp"
#include "kernels/error.hpp"

#include <algorithm>

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

void deliver(kernels::Backend& backend, std::span<std::byte const> bytes,
             WeightRequest const& request, Region const& region, std::size_t width,
             ElementRun run) {
    auto const& destination = request.destination;
    auto const size = kernels::size_of(destination.dtype);
    auto row = run.first / width - region.rows.begin;
    auto col = run.first % width - region.cols.begin;
    while (!bytes.empty()) {
        auto const in_row = (destination.cols - col) * size;
        auto const part = destination.contiguous() ? bytes.size() : std::min(in_row, bytes.size());
        backend.copy_from_staging(bytes.first(part),
                                  destination.data + (row * destination.stride + col) * size);
        bytes = bytes.subspan(part);
        ++row;
        col = 0;
    }
}

void place_block(kernels::Backend& backend, Block const& block, std::span<std::byte const> bytes,
                 Wishes const& wishes, int rank) {
    auto const run = run_of(block);
    auto const width = block.tensor->cols();
    auto const size = kernels::size_of(block.tensor->dtype);
    for (auto const* const request : wishes) {
        auto const& region = request->regions[static_cast<std::size_t>(rank)];
        visit_runs(region, width, run, [&](ElementRun part) {
            auto const piece = bytes.subspan((part.first - run.first) * size, part.count * size);
            deliver(backend, piece, *request, region, width, part);
        });
    }
}

}  // namespace tesserank::io
