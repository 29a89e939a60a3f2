#pragma once

#include <cstddef>
#include <vector>

namespace tesserank::parallel {

/// A contiguous run of units: [begin, begin + count).
struct Range {
    std::size_t begin = 0;
    std::size_t count = 0;
    std::size_t end() const { return begin + count; }
    bool operator==(Range const&) const = default;
};

/// Cuts `units` (heads, columns, vocabulary rows, sequences) over `ranks` as evenly as whole units
/// allow, the larger shares first: 25 heads over 4 ranks are 7, 6, 6, 6; 2 units over 3 ranks are
/// 1, 1, 0. Nothing is padded.
class Partition {
  public:
    Partition(std::size_t units, int ranks);

    /// Rank r gets shares[r] units: for rows of whole sequences, which differ in length.
    static Partition of_shares(std::vector<std::size_t> const& shares);

    std::size_t units() const { return units_; }
    int ranks() const { return ranks_; }
    Range of(int rank) const;
    std::size_t count(int rank) const { return of(rank).count; }
    /// count(rank) * elements_per_unit for each rank.
    std::vector<std::size_t> counts(std::size_t elements_per_unit = 1) const;
    /// Whether every rank holds the same units in both.
    friend bool operator==(Partition const& a, Partition const& b);

  private:
    std::size_t units_;
    int ranks_;
    std::vector<std::size_t> begins_;  ///< [P + 1] of given shares; empty for an even cut
};

}  // namespace tesserank::parallel
