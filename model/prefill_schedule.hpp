#pragma once

#include "parallel/partition.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::model {

/// Which prompt tokens run together: a function of the prompts' lengths alone, so that a plan can
/// follow it without prompts.
class PrefillSchedule {
  public:
    /// The sequences are dealt out over `owners` in runs as equal as can be.
    PrefillSchedule(std::vector<std::size_t> lengths, int owners);

    /// Consecutive tokens of one prompt.
    struct Piece {
        std::size_t sequence = 0, first = 0, tokens = 0;
        int owner = 0;
    };

    /// The next at most `max_rows` tokens, one owner behind the other, without padding. All owners
    /// get about equally many rows as long as they have prompts left. Empty when all is done.
    std::vector<Piece> next(std::size_t max_rows);

    parallel::Partition const& deal() const { return deal_; }
    int owner_of(std::size_t sequence) const;

  private:
    std::vector<std::size_t> rows_by_owner(std::size_t max_rows) const;

    std::vector<std::size_t> lengths_;
    parallel::Partition deal_;
    std::vector<std::size_t> next_;  ///< by owner: the sequence that it is at
    std::vector<std::size_t> done_;  ///< by owner: tokens of that sequence
    std::vector<std::size_t> left_;  ///< by owner: tokens to come
};

}  // namespace tesserank::model
