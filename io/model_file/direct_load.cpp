#include "io/model_file/direct_load.hpp"

#include "io/model_file/background_read.hpp"
#include "io/model_file/placing.hpp"
#include "io/model_file/stopwatch.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace tesserank::io {
namespace {

using Batches = std::vector<std::span<Block const>>;

/// Runs of blocks that a buffer holds.
Batches batches_of(std::span<Block const> blocks, std::size_t most_bytes) {
    Batches batches;
    while (!blocks.empty()) {
        std::size_t count = 1;
        auto bytes = blocks.front().bytes();
        while (count < blocks.size() && bytes + blocks[count].bytes() <= most_bytes) {
            bytes += blocks[count++].bytes();
        }
        batches.push_back(blocks.first(count));
        blocks = blocks.subspan(count);
    }
    return batches;
}

}  // namespace

void load_directly(std::span<Block const> blocks,
                   std::map<StoredTensor const*, Wishes> const& wishes, DirectTools const& tools,
                   LoadReport& report) {
    auto const batches = batches_of(blocks, tools.staging_bytes);
    if (batches.empty()) return;
    std::size_t largest = 0;
    for (auto const& batch : batches) largest = std::max(largest, bytes_of(batch));
    std::array const buffers{StagingBuffer(tools.backend, largest),
                             StagingBuffer(tools.backend, batches.size() > 1 ? largest : 0)};
    report.most_held_bytes =
        std::max(report.most_held_bytes, buffers[0].bytes() + buffers[1].bytes());
    BackgroundRead reader(tools.file, tools.reading_threads);
    auto const memory_of = [&](std::size_t i) {
        return buffers[i % 2].first(bytes_of(batches[i]));
    };
    reader.start(batches[0], memory_of(0));
    for (std::size_t i = 0; i < batches.size(); ++i) {
        report.read_seconds += reader.finish();
        report.bytes_read += bytes_of(batches[i]);
        if (i + 1 < batches.size()) reader.start(batches[i + 1], memory_of(i + 1));
        report.place_seconds += seconds_of([&] {
            std::span<std::byte const> left = memory_of(i);
            for (auto const& block : batches[i]) {
                place_block(tools.backend, block, left.first(block.bytes()),
                            wishes.at(block.tensor), tools.rank);
                left = left.subspan(block.bytes());
            }
            tools.backend.synchronize();
        });
    }
}

}  // namespace tesserank::io
