#include "io/requests/id_set.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tesserank::io {

std::optional<std::size_t> IdSet::insert(std::string_view id, std::size_t line) {
    if (4 * (used_ + 1) > 3 * slots_.size()) grow();
    auto const hash = XXH3_128bits(id.data(), id.size());
    // A later line than the table can name is still found to be one.
    auto const shown = std::min<std::size_t>(line, std::numeric_limits<std::uint32_t>::max());
    Slot const wanted{.low = hash.low64,
                      .high = static_cast<std::uint32_t>(hash.high64),
                      .line = static_cast<std::uint32_t>(shown)};
    auto& slot = find(wanted);
    if (slot.line != 0) return slot.line;
    slot = wanted;
    ++used_;
    return std::nullopt;
}

/// The slot of `wanted`, or the free one where it belongs.
IdSet::Slot& IdSet::find(Slot const& wanted) {
    auto const mask = slots_.size() - 1;
    auto i = static_cast<std::size_t>(wanted.low) & mask;
    while (slots_[i].line != 0 && (slots_[i].low != wanted.low || slots_[i].high != wanted.high)) {
        i = (i + 1) & mask;
    }
    return slots_[i];
}

void IdSet::grow() {
    auto const old =
        std::exchange(slots_, std::vector<Slot>(std::max<std::size_t>(1024, 2 * slots_.size())));
    for (auto const& slot : old) {
        if (slot.line != 0) find(slot) = slot;
    }
}

}  // namespace tesserank::io
