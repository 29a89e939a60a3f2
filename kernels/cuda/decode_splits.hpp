#pragma once

#include "kernels/backend.hpp"

#include <algorithm>
#include <cstddef>

/// How decode attention is cut into blocks. The number of splits is chosen on the host, from bounds
/// that hold for all replays of a recording; what a split reads follows on the device from the
/// sequence's length of the moment.
namespace tesserank::kernels::cuda {

/// Positions begin .. end - 1 of a sequence.
struct Positions {
    std::size_t begin = 0, end = 0;
    constexpr std::size_t count() const { return end - begin; }
    bool operator==(Positions const&) const = default;
};

/// What the token at `position` sees; window as in AttentionShape.
constexpr Positions visible_positions(std::size_t position, std::size_t window) {
    std::size_t const end = position + 1;
    return {window > 0 && end > window ? end - window : 0, end};
}

/// The warps of a block read so many positions in one turn, so that parts are multiples of it.
inline constexpr std::size_t positions_per_turn = 64;

constexpr std::size_t ceil_divide(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// Positions of each of `splits` parts of `visible`, of which the last may have fewer.
constexpr std::size_t part_size(std::size_t visible, std::size_t splits) {
    return ceil_divide(ceil_divide(visible, splits), positions_per_turn) * positions_per_turn;
}

/// Splits that get a part, the first ones.
constexpr std::size_t splits_used(std::size_t visible, std::size_t splits) {
    return visible == 0 ? 0 : ceil_divide(visible, part_size(visible, splits));
}

/// Empty from splits_used() on.
constexpr Positions part_of(Positions visible, std::size_t splits, std::size_t split) {
    std::size_t const size = part_size(visible.count(), splits);
    std::size_t const begin = std::min(visible.begin + split * size, visible.end);
    return {begin, std::min(begin + size, visible.end)};
}

/// Local query heads first .. first + count - 1.
struct QueryHeads {
    std::size_t first = 0, count = 0;
    bool operator==(QueryHeads const&) const = default;
};

/// Those that read a kv head, cut into tiles of `rows`; the last tiles of a kv head may be empty.
constexpr QueryHeads query_heads_of(AttentionShape const& shape, std::size_t kv_head,
                                    std::size_t tile, std::size_t rows) {
    std::size_t const group = kv_head * shape.queries_per_kv;
    std::size_t const group_begin = std::max(group, shape.first_query) - shape.first_query;
    std::size_t const group_end = group + shape.queries_per_kv <= shape.first_query
                                      ? 0
                                      : group + shape.queries_per_kv - shape.first_query;
    std::size_t const end = std::min(group_end, shape.query_heads);
    std::size_t const first = group_begin + tile * rows;
    return {first, first < end ? std::min(rows, end - first) : 0};
}

/// Tiles that each kv head needs at most.
constexpr std::size_t query_tiles(AttentionShape const& shape, std::size_t rows) {
    return ceil_divide(std::min(shape.queries_per_kv, shape.query_heads), rows);
}

/// What the choice of splits depends on.
struct SplitBounds {
    std::size_t groups = 0;           ///< blocks of each split: segments, kv heads and query tiles
    std::size_t positions = 0;        ///< no sequence sees more
    std::size_t resident_blocks = 1;  ///< that the device runs at a time
    std::size_t most_splits = 1;      ///< for which there is memory
};

/// Splits of least cost in a simple model, in which a block takes a time for each position and one
/// to start: blocks run in waves; where there are several, sequences of several lengths leave about
/// half a part idle at the end; merging reads all parts.
constexpr std::size_t choose_splits(SplitBounds const& bounds) {
    constexpr std::size_t start =
        128;  // the time of so many positions, of about 30 ns each on H100
    constexpr std::size_t merge = 2;
    std::size_t const turns = ceil_divide(bounds.positions, positions_per_turn);
    std::size_t best = 1, least = static_cast<std::size_t>(-1);
    for (std::size_t splits = 1; splits <= std::min(bounds.most_splits, turns); ++splits) {
        std::size_t const part = part_size(bounds.positions, splits);
        std::size_t const blocks = bounds.groups * splits_used(bounds.positions, splits);
        std::size_t const waves = ceil_divide(blocks, bounds.resident_blocks);
        std::size_t const idle = waves > 1 ? part / 2 : 0;
        std::size_t const cost = waves * (part + start) + idle + (splits - 1) * merge;
        if (cost < least) {
            least = cost;
            best = splits;
        }
    }
    return best;
}

}  // namespace tesserank::kernels::cuda
