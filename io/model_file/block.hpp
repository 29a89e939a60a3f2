#pragma once

#include "io/input_file.hpp"
#include "io/model_file/model_index.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

/// What one checksum covers: a contiguous run of a tensor's bytes.
struct Block {
    StoredTensor const* tensor = nullptr;
    std::size_t index = 0;  ///< within the tensor

    std::size_t begin() const { return index * tensor->block_bytes; }  ///< bytes into the tensor
    std::size_t bytes() const;
    std::size_t file_offset() const { return tensor->offset + begin(); }
    /// Whether `next` lies right behind this block.
    bool touches(Block const& next) const { return file_offset() + bytes() == next.file_offset(); }
    /// "tensor x, rows 10 to 19".
    std::string describe() const;
};

/// Every block of a tensor.
std::vector<Block> blocks_of(StoredTensor const& tensor);

/// Deals blocks out over the ranks: contiguous runs with about equally many bytes.
std::vector<parallel::Range> deal_blocks(std::span<Block const> blocks, int ranks);

/// Reads blocks one after the other into `memory`, in as few calls as their places allow. `memory`
/// has their bytes in sum.
void read_blocks(InputFile const& file, std::span<Block const> blocks, std::span<std::byte> memory);
/// The same, and compares their checksums. Errors: InputError naming file, tensor and rows.
void read_checked(InputFile const& file, std::span<Block const> blocks,
                  std::span<std::byte> memory);

std::size_t bytes_of(std::span<Block const> blocks);

}  // namespace tesserank::io
