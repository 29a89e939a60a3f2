#include "io/model_file/verify.hpp"

#include "io/input_file.hpp"
#include "io/model_file/block.hpp"
#include "io/model_file/checksum.hpp"
#include "parallel/agree.hpp"

#include <span>
#include <sstream>

namespace tesserank::io {
namespace {

using Progress = std::function<void(std::size_t, std::size_t)>;

/// One line for each damaged block. Names hold no line breaks.
std::string damaged_of(std::string const& path, std::span<Block const> blocks,
                       Progress const& progress) {
    InputFile const file(path);
    auto const total = bytes_of(blocks);
    std::size_t done = 0;
    std::string damaged;
    std::vector<std::byte> memory;
    for (auto const& block : blocks) {
        memory.resize(block.bytes());
        file.read(block.file_offset(), memory);
        if (checksum_of(memory) != block.tensor->checksums[block.index]) {
            damaged += block.describe() + "\n";
        }
        done += block.bytes();
        if (progress) progress(done, total);
    }
    return damaged;
}

}  // namespace

VerifyReport verify_model(ModelIndex const& index, parallel::MpiCommunicator& ranks,
                          Progress const& progress) {
    std::vector<Block> blocks;
    for (auto const& tensor : index.tensors) {
        auto const own = blocks_of(tensor);
        blocks.insert(blocks.end(), own.begin(), own.end());
    }
    VerifyReport report{.blocks = blocks.size(), .bytes = bytes_of(blocks), .damaged = {}};
    std::string damaged;
    parallel::agree(ranks, [&] {
        auto const share =
            deal_blocks(blocks, ranks.size())[static_cast<std::size_t>(ranks.rank())];
        damaged =
            damaged_of(index.path, std::span(blocks).subspan(share.begin, share.count), progress);
    });
    for (int rank = 0; rank < ranks.size(); ++rank) {
        std::istringstream lines(ranks.broadcast_text(damaged, rank));
        for (std::string line; std::getline(lines, line);) report.damaged.push_back(line);
    }
    return report;
}

}  // namespace tesserank::io
