#include "io/model_file/placing.hpp"

#include "io/model_file/region.hpp"

#include <algorithm>

namespace tesserank::io {

void deliver(kernels::Backend& backend, std::span<std::byte const> bytes,
             model::WeightRequest const& request, model::Region const& region, std::size_t width,
             ElementRun run) {
    auto const& destination = request.destination;
    auto const size = kernels::size_of(destination.dtype);
    auto row = run.first / width - region.rows.begin;
    auto col = run.first % width - region.cols.begin;
    while (!bytes.empty()) {
        auto const in_row = (destination.cols - col) * size;
        auto const part = destination.contiguous() ? bytes.size() : std::min(in_row, bytes.size());
        backend.copy_from_host(bytes.first(part),
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
