#pragma once

#include "io/safetensors/reader.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::io {

/// What one rank does with a file of a checkpoint.
struct FileShare {
    bool hashes = false;      ///< reads all of it, for its SHA-256
    parallel::Range tensors;  ///< that it converts, in the order of the file
};

/// By file of the checkpoint.
using ConvertShare = std::vector<FileShare>;

/// Shares a conversion out over the ranks, so that each has about equally many bytes to hash and to
/// convert. A hash needs a file from its first byte to its last, so that files stay whole where
/// they are many; else tensors at the end of one go to other ranks, and are read twice. The same on
/// every rank.
std::vector<ConvertShare> share_conversion(std::span<SafetensorsFile const> files, int ranks);

/// The same, all of it by the ranks on the node of rank 0; `nodes` as MpiCommunicator::nodes().
std::vector<ConvertShare> share_on_first_node(std::span<SafetensorsFile const> files,
                                              std::span<int const> nodes);

std::size_t rank_that_hashes(std::span<ConvertShare const> shares, std::size_t file);
std::size_t rank_that_converts(std::span<ConvertShare const> shares, std::size_t file,
                               std::size_t tensor);

/// The bytes of the file that a rank reads.
std::size_t bytes_read(SafetensorsFile const& file, FileShare const& share);

}  // namespace tesserank::io
