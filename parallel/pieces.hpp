#pragma once

#include "kernels/dtype.hpp"
#include "kernels/error.hpp"

#include <cstddef>
#include <numeric>
#include <span>

namespace tesserank::parallel {

/// The sizes of what ranks exchange: one piece for each rank, in rank order, one behind the other.
/// Private to this folder.
inline std::size_t sum(std::span<std::size_t const> sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
}

/// Where the piece of `rank` lies in the whole.
template <class Byte>
std::span<Byte> piece_of(std::span<Byte> all, std::span<std::size_t const> bytes, int rank) {
    auto const index = static_cast<std::size_t>(rank);
    return all.subspan(sum(bytes.first(index)), bytes[index]);
}

// What all communicators ask of their arguments; see communicator.hpp.

inline void check_elements(std::span<std::byte const> data, kernels::DType dtype) {
    kernels::require(data.size() % kernels::size_of(dtype) == 0, "data holds a broken element");
}

inline void check_root(int root, int ranks) {
    kernels::require(root >= 0 && root < ranks, "the root is no rank");
}

/// Of a whole that this rank holds, and its own piece; `bytes` may be in any unit.
inline void check_pieces(std::size_t mine, std::span<std::size_t const> bytes, std::size_t all,
                         int rank, int ranks) {
    kernels::require(bytes.size() == static_cast<std::size_t>(ranks),
                     "one size for each rank is needed");
    kernels::require(all == sum(bytes), "the sizes do not add up to the whole");
    kernels::require(mine == bytes[static_cast<std::size_t>(rank)],
                     "the size of this rank is not that of its piece");
}

/// The same of a whole that only the root holds.
inline void check_pieces_at_root(std::size_t mine, std::span<std::size_t const> bytes,
                                 std::size_t all, int root, int rank, int ranks) {
    check_root(root, ranks);
    check_pieces(mine, bytes, rank == root ? all : sum(bytes), rank, ranks);
}

inline void check_all_to_all(std::size_t send, std::span<std::size_t const> send_bytes,
                             std::size_t received, std::span<std::size_t const> received_bytes,
                             int rank, int ranks) {
    auto const own = static_cast<std::size_t>(rank), count = static_cast<std::size_t>(ranks);
    kernels::require(send_bytes.size() == count && received_bytes.size() == count,
                     "one size for each rank is needed");
    kernels::require(send == sum(send_bytes) && received == sum(received_bytes),
                     "the sizes do not add up to the whole");
    kernels::require(send_bytes[own] == received_bytes[own],
                     "a rank gets from itself what it sends");
}

}  // namespace tesserank::parallel
