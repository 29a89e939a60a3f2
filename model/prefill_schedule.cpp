#include "model/prefill_schedule.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::model {

PrefillSchedule::PrefillSchedule(std::vector<std::size_t> lengths, int owners)
    : lengths_{std::move(lengths)},
      deal_{lengths_.size(), owners},
      done_(static_cast<std::size_t>(owners), 0) {
    for (int owner = 0; owner < owners; ++owner) {
        auto const mine = deal_.of(owner);
        next_.push_back(mine.begin);
        auto const begin = lengths_.begin() + static_cast<std::ptrdiff_t>(mine.begin);
        left_.push_back(std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(mine.count),
                                        std::size_t{0}));
    }
}

int PrefillSchedule::owner_of(std::size_t sequence) const {
    int owner = 0;
    while (deal_.of(owner).end() <= sequence) ++owner;
    return owner;
}

std::vector<std::size_t> PrefillSchedule::rows_by_owner(std::size_t max_rows) const {
    // Those with least left come first, so that what they leave over goes to the others.
    std::vector<std::size_t> order(left_.size());
    std::vector<std::size_t> rows(left_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t owner) { return left_[owner]; });
    for (std::size_t i = 0; i < order.size(); ++i) {
        std::size_t const others = order.size() - i;
        rows[order[i]] = std::min(left_[order[i]], (max_rows + others - 1) / others);
        max_rows -= rows[order[i]];
    }
    return rows;
}

std::vector<PrefillSchedule::Piece> PrefillSchedule::next(std::size_t max_rows) {
    std::vector<Piece> pieces;
    auto const rows = rows_by_owner(max_rows);
    for (std::size_t owner = 0; owner < rows.size(); ++owner) {
        left_[owner] -= rows[owner];
        for (std::size_t wanted = rows[owner]; wanted > 0;) {
            std::size_t const length = lengths_[next_[owner]];
            std::size_t const count = std::min(wanted, length - done_[owner]);
            pieces.push_back({next_[owner], done_[owner], count, static_cast<int>(owner)});
            wanted -= count;
            done_[owner] += count;
            if (done_[owner] < length) continue;
            ++next_[owner];
            done_[owner] = 0;
        }
    }
    return pieces;
}

}  // namespace tesserank::model
