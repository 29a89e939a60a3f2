#include "io/model_file/background_read.hpp"

#include "io/model_file/stopwatch.hpp"
#include "kernels/error.hpp"

#include <sched.h>

#include <algorithm>

namespace tesserank::io {

std::span<std::byte> StagingBuffer::first(std::size_t bytes) const {
    kernels::require(bytes <= bytes_, "more bytes than the buffer has");
    return {memory_.get(), bytes};
}

int spare_reading_threads(parallel::MpiCommunicator& ranks) {
    constexpr int most = 4;
    auto const size = static_cast<std::size_t>(ranks.size());
    cpu_set_t mine;
    CPU_ZERO(&mine);
    ::sched_getaffinity(0, sizeof mine, &mine);
    std::vector<cpu_set_t> cores(size);
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), std::vector(size, sizeof mine),
                     std::as_writable_bytes(std::span(cores)));
    auto const& nodes = ranks.nodes();
    int sharing = 0;
    for (std::size_t rank = 0; rank < size; ++rank) {
        cpu_set_t common;
        CPU_AND(&common, &mine, &cores[rank]);
        bool const here = nodes[rank] == nodes[static_cast<std::size_t>(ranks.rank())];
        if (here && CPU_COUNT(&common) > 0) ++sharing;
    }
    return std::clamp(CPU_COUNT(&mine) / std::max(sharing, 1) - 1, 0, most);
}

void BackgroundRead::start(std::span<Block const> blocks, std::span<std::byte> memory) {
    auto const policy = threads_ > 0 ? std::launch::async : std::launch::deferred;
    running_.clear();
    for (auto const& [first, count] : deal_blocks(blocks, std::max(threads_, 1))) {
        auto const share = blocks.subspan(first, count);
        auto const place = memory.first(bytes_of(share));
        memory = memory.subspan(place.size());
        running_.push_back(std::async(policy, [this, share, place] {
            return seconds_of([&] { read_checked(file_, share, place); });
        }));
    }
}

double BackgroundRead::finish() {
    double longest = 0;
    // The first thread that failed has the first of the blocks that are wrong.
    for (auto& running : running_) longest = std::max(longest, running.get());
    return longest;
}

}  // namespace tesserank::io
