#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <cstdint>

/// How prefill attention is cut into work: which queries a block takes, and which keys they see.
/// Plain arithmetic, the same on the device and in tests on the host.
namespace tesserank::kernels::cuda {

/// Some consecutive new tokens of one segment.
struct QueryTile {
    std::size_t row = 0;              ///< of the first token in the activation
    std::size_t cache_row = 0;        ///< of position 0 in the cache
    std::int32_t first_position = 0;  ///< of the first token
    std::int32_t tokens = 0;          ///< 0: no work
    std::int32_t context = 0;         ///< positions of the segment, its new tokens included
};

template <std::uint32_t TileTokens>
constexpr std::uint32_t tiles_of(std::size_t tokens) {
    return (static_cast<std::uint32_t>(tokens) + TileTokens - 1) / TileTokens;
}

/// How many tiles there are at most: `tokens` in all, in `segments` segments, none longer than
/// `longest`.
constexpr std::size_t tiles_bound(std::size_t tokens, std::size_t segments, std::size_t longest,
                                  std::size_t tile_tokens) {
    std::size_t const by_tokens = tokens / tile_tokens + segments;
    std::size_t const by_longest = (longest + tile_tokens - 1) / tile_tokens * segments;
    return by_tokens < by_longest ? by_tokens : by_longest;
}

/// The tiles of all segments from the `first`th of each on.
template <std::uint32_t TileTokens>
constexpr std::uint32_t tiles_from(Segment const* segments, std::uint32_t count,
                                   std::uint32_t first) {
    std::uint32_t sum = 0;
    for (std::uint32_t s = 0; s < count; ++s) {
        std::uint32_t const tiles = tiles_of<TileTokens>(segments[s].tokens);
        sum += tiles > first ? tiles - first : 0;
    }
    return sum;
}

/// The tile that stands at `place` when all are ordered by falling index within their segment: a
/// late tile sees most keys and is started first, so that the last blocks to end are short ones.
/// No work beyond the last. Tiles are counted in 32 bits, and their size is known to the compiler:
/// a thread of the device passes over all segments several times.
template <std::uint32_t TileTokens>
constexpr QueryTile tile_at(std::uint32_t place, Segment const* segments, std::uint32_t count,
                            std::size_t longest) {
    if (place >= tiles_from<TileTokens>(segments, count, 0)) return {};
    std::uint32_t index = 0;  // tiles_from(index) > place >= tiles_from(end)
    std::uint32_t end = tiles_of<TileTokens>(longest);
    while (end - index > 1) {
        std::uint32_t const middle = index + (end - index) / 2;
        (tiles_from<TileTokens>(segments, count, middle) > place ? index : end) = middle;
    }
    std::uint32_t rest = place - tiles_from<TileTokens>(segments, count, index + 1);
    for (std::uint32_t s = 0; s < count; ++s) {
        Segment const& segment = segments[s];
        if (tiles_of<TileTokens>(segment.tokens) <= index || rest-- > 0) continue;
        std::size_t const first = std::size_t{index} * TileTokens;
        std::size_t const left = segment.tokens - first;
        return {.row = segment.row + first,
                .cache_row = segment.cache_row,
                .first_position = static_cast<std::int32_t>(segment.first_position + first),
                .tokens = static_cast<std::int32_t>(left < TileTokens ? left : TileTokens),
                .context = static_cast<std::int32_t>(segment.first_position + segment.tokens)};
    }
    return {};
}

/// Positions begin <= p < end.
struct KeyRange {
    std::int32_t begin = 0;
    std::int32_t end = 0;
};

/// What queries see of their segment's keys.
struct Visibility {
    bool causal = true;
    std::int32_t window = 0;  ///< 0: none

    constexpr KeyRange of(std::int32_t position, std::int32_t context) const {
        if (!causal) return {0, context};
        std::int32_t const end = position + 1 < context ? position + 1 : context;
        return {window > 0 && position >= window ? position - window + 1 : 0, end};
    }
    /// What any of the tile's queries sees.
    constexpr KeyRange of_any(QueryTile const& tile) const {
        return {of(tile.first_position, tile.context).begin,
                of(tile.first_position + tile.tokens - 1, tile.context).end};
    }
    /// Whether all of `count` queries from `position` on see all of `keys`.
    constexpr bool all_see(std::int32_t position, std::int32_t count, std::int32_t context,
                           KeyRange keys) const {
        return keys.begin >= of(position + count - 1, context).begin &&
               keys.end <= of(position, context).end;
    }
};

/// Which item a block takes in each round when there are more items than blocks. Items come in
/// falling size: every other round goes backwards, or the first block would always get the largest.
constexpr std::size_t item_of_round(std::size_t round, std::size_t block, std::size_t blocks) {
    return round * blocks + (round % 2 == 0 ? block : blocks - 1 - block);
}

}  // namespace tesserank::kernels::cuda
