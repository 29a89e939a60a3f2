#include "io/model_file/checksum.hpp"

#include <xxhash.h>

#include <algorithm>
#include <new>
#include <utility>

namespace tesserank::io {

std::uint64_t checksum_of(std::span<std::byte const> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

struct BlockChecksums::State {
    explicit State(std::size_t bytes) : block_bytes{bytes}, missing{bytes} {
        if (hash == nullptr) throw std::bad_alloc();
        XXH3_64bits_reset(hash);
    }
    ~State() { XXH3_freeState(hash); }
    State(State const&) = delete;
    State& operator=(State const&) = delete;

    void end_block() {
        checksums.push_back(XXH3_64bits_digest(hash));
        XXH3_64bits_reset(hash);
        missing = block_bytes;
    }

    std::size_t block_bytes;
    std::size_t missing;  ///< until the current block is full
    XXH3_state_t* hash = XXH3_createState();
    std::vector<std::uint64_t> checksums;
};

BlockChecksums::BlockChecksums(std::size_t block_bytes)
    : state_{std::make_unique<State>(block_bytes)} {}
BlockChecksums::~BlockChecksums() = default;
BlockChecksums::BlockChecksums(BlockChecksums&&) noexcept = default;
BlockChecksums& BlockChecksums::operator=(BlockChecksums&&) noexcept = default;

void BlockChecksums::append(std::span<std::byte const> bytes) {
    while (!bytes.empty()) {
        auto const part = bytes.first(std::min(bytes.size(), state_->missing));
        XXH3_64bits_update(state_->hash, part.data(), part.size());
        state_->missing -= part.size();
        if (state_->missing == 0) state_->end_block();
        bytes = bytes.subspan(part.size());
    }
}

std::vector<std::uint64_t> BlockChecksums::finish() {
    if (state_->missing < state_->block_bytes) state_->end_block();
    return std::exchange(state_->checksums, {});
}

}  // namespace tesserank::io
