#include "io/model_file/block.hpp"

#include "io/model_file/checksum.hpp"
#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::io {

std::size_t Block::bytes() const { return std::min(tensor->block_bytes, tensor->bytes - begin()); }

std::string Block::describe() const {
    auto const row_bytes = tensor->bytes / tensor->rows();
    return "tensor " + tensor->name + ", rows " + std::to_string(begin() / row_bytes) + " to " +
           std::to_string((begin() + bytes() - 1) / row_bytes);
}

std::vector<Block> blocks_of(StoredTensor const& tensor) {
    std::vector<Block> blocks(tensor.checksums.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = {&tensor, i};
    return blocks;
}

std::vector<parallel::Range> deal_blocks(std::span<Block const> blocks, int ranks) {
    auto const total = bytes_of(blocks);
    std::vector<parallel::Range> shares;
    std::size_t next = 0;
    std::size_t dealt = 0;
    for (int rank = 0; rank < ranks; ++rank) {
        auto const parts = static_cast<std::size_t>(ranks);
        auto const after = static_cast<std::size_t>(rank) + 1;
        auto const goal = total / parts * after + total % parts * after / parts;
        auto const first = next;
        // A block goes where its middle lies.
        while (next < blocks.size() && dealt + blocks[next].bytes() / 2 < goal) {
            dealt += blocks[next++].bytes();
        }
        if (rank == ranks - 1) next = blocks.size();
        shares.push_back({first, next - first});
    }
    return shares;
}

void read_blocks(InputFile const& file, std::span<Block const> blocks,
                 std::span<std::byte> memory) {
    while (!blocks.empty()) {
        std::size_t run = 1;
        auto bytes = blocks.front().bytes();
        while (run < blocks.size() && blocks[run - 1].touches(blocks[run])) {
            bytes += blocks[run++].bytes();
        }
        file.read(blocks.front().file_offset(), memory.first(bytes));
        memory = memory.subspan(bytes);
        blocks = blocks.subspan(run);
    }
}

void read_checked(InputFile const& file, std::span<Block const> blocks,
                  std::span<std::byte> memory) {
    read_blocks(file, blocks, memory);
    for (auto const& block : blocks) {
        if (checksum_of(memory.first(block.bytes())) != block.tensor->checksums[block.index]) {
            throw kernels::InputError(file.path() + ": " + block.describe() +
                                      ": does not have its checksum: the file is damaged. Convert "
                                      "the model again.");
        }
        memory = memory.subspan(block.bytes());
    }
}

std::size_t bytes_of(std::span<Block const> blocks) {
    std::size_t bytes = 0;
    for (auto const& block : blocks) bytes += block.bytes();
    return bytes;
}

}  // namespace tesserank::io
