#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tesserank::io {

/// XXH3-64. Source: https://github.com/Cyan4973/xxHash
std::uint64_t checksum_of(std::span<std::byte const> bytes);

/// XXH3-64 of each block of a stream of bytes that arrives in pieces of any size.
class BlockChecksums {
  public:
    explicit BlockChecksums(std::size_t block_bytes);
    ~BlockChecksums();
    BlockChecksums(BlockChecksums&&) noexcept;
    BlockChecksums& operator=(BlockChecksums&&) noexcept;

    void append(std::span<std::byte const> bytes);
    /// The checksums of all blocks, the last one possibly shorter.
    std::vector<std::uint64_t> finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::io
