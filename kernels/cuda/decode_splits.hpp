#pragma once

#include "kernels/backend.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

/// How decode attention is cut into blocks. The number of splits is chosen on the host, from bounds
/// that hold for all replays of a recording; what a split reads follows on the device from the
/// sequence's length of the moment. A sequence's result therefore depends, in its last bits, on how
/// many others it runs with and on the bound: a cut that did not would leave most of the device
/// idle for one sequence, or merge for nothing in a large batch.
namespace tesserank::kernels::cuda {

/// Positions begin .. end - 1 of a sequence. Less than 64 bits: the device divides these numbers
/// while the memory waits for what follows from them.
struct Positions {
    std::uint32_t begin = 0, end = 0;
    constexpr std::uint32_t count() const { return end - begin; }
    bool operator==(Positions const&) const = default;
};

/// What the token at `position` sees; window as in AttentionShape.
constexpr Positions visible_positions(std::size_t position, std::size_t window) {
    std::size_t const end = position + 1;
    std::size_t const begin = window > 0 && end > window ? end - window : 0;
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

/// The warps of a block read so many positions in one turn, so that parts are multiples of it.
inline constexpr std::uint32_t positions_per_turn = 64;

template <class Number>
constexpr Number ceil_divide(Number a, Number b) {
    return (a + b - 1) / b;
}

/// How sequences are cut.
struct Cut {
    std::uint32_t splits = 1;                       ///< parts of a sequence at most
    std::uint32_t least_part = positions_per_turn;  ///< whole turns
    bool operator==(Cut const&) const = default;
};

/// Positions of each part of `visible`, of which the last may have fewer.
constexpr std::uint32_t part_size(std::uint32_t visible, Cut const& cut) {
    std::uint32_t const even = ceil_divide(visible, cut.splits);
    return std::max(cut.least_part, ceil_divide(even, positions_per_turn) * positions_per_turn);
}

/// Splits that get a part, the first ones.
constexpr std::uint32_t splits_used(std::uint32_t visible, Cut const& cut) {
    return ceil_divide(visible, part_size(visible, cut));
}

/// Empty from splits_used() on.
constexpr Positions part_of(Positions visible, Cut const& cut, std::uint32_t split) {
    std::uint32_t const size = part_size(visible.count(), cut);
    std::uint32_t const begin = visible.begin + std::min(split * size, visible.count());
    return {begin, begin + std::min(size, visible.end - begin)};
}

/// Local query heads first .. first + count - 1.
struct QueryHeads {
    std::uint32_t first = 0, count = 0;
    bool operator==(QueryHeads const&) const = default;
};

/// Those that read a kv head, cut into tiles of `rows`; the last tiles of a kv head may be empty.
constexpr QueryHeads query_heads_of(AttentionShape const& shape, std::uint32_t kv_head,
                                    std::uint32_t tile, std::uint32_t rows) {
    std::size_t const group = kv_head * shape.queries_per_kv;
    std::size_t const group_begin = std::max(group, shape.first_query) - shape.first_query;
    std::size_t const group_end = group + shape.queries_per_kv <= shape.first_query
                                      ? 0
                                      : group + shape.queries_per_kv - shape.first_query;
    auto const end = static_cast<std::uint32_t>(std::min(group_end, shape.query_heads));
    auto const first = static_cast<std::uint32_t>(group_begin + std::size_t{tile} * rows);
    return {first, first < end ? std::min(rows, end - first) : 0};
}

/// Tiles that each kv head needs at most.
constexpr std::size_t query_tiles(AttentionShape const& shape, std::size_t rows) {
    return ceil_divide(std::min(shape.queries_per_kv, shape.query_heads), rows);
}

/// What the choice of a cut depends on.
struct CutBounds {
    std::size_t sequences = 1;
    std::size_t groups = 0;           ///< blocks of each split: sequences, kv heads and query tiles
    std::size_t positions = 0;        ///< no sequence sees more
    std::size_t resident_blocks = 1;  ///< that the device runs at a time
    std::size_t most_splits = 1;      ///< for which there is memory
};

/// The cut of least cost in a simple model, not fitted to measurements. Its unit is the time in
/// which a block that has the memory for itself reads a position, by calculation 1/130 us. A block
/// takes a time for each position and one to start, and blocks run in waves. Merging takes a fence,
/// an atomic addition and a round trip to L2, and a little for each part.
///
/// Sequences may differ: one may see all the positions and the others hardly any. Blocks that begin
/// whenever there is room end one part, at most, after an even share of the work (Graham's bound),
/// which is the same for all cuts: where there are several sequences the last part counts.
constexpr Cut choose_cut(CutBounds const& bounds) {
    constexpr std::size_t start = 128, merge = 256, merge_part = 8;
    auto const positions = static_cast<std::uint32_t>(bounds.positions);
    std::size_t const turns = ceil_divide(positions, positions_per_turn);
    // When hardly a block is idle anyway, short sequences stay whole.
    bool const room = bounds.groups * 4 < bounds.resident_blocks;
    Cut cut{.splits = 1, .least_part = room ? positions_per_turn : std::uint32_t{merge}};
    Cut best = cut;
    std::size_t least = static_cast<std::size_t>(-1);
    for (; cut.splits <= std::min(bounds.most_splits, turns); ++cut.splits) {
        std::size_t const parts = splits_used(positions, cut);
        std::size_t const waves = ceil_divide(bounds.groups * parts, bounds.resident_blocks);
        std::size_t const reading =
            part_size(positions, cut) * (bounds.sequences > 1 ? std::size_t{1} : waves);
        std::size_t const merging = parts > 1 ? merge + parts * merge_part : 0;
        std::size_t const cost = reading + waves * start + merging;
        if (cost < least) {
            least = cost;
            best = cut;
        }
    }
    return best;
}

}  // namespace tesserank::kernels::cuda
