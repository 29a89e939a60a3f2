#include "parallel/partition.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <numeric>

namespace tesserank::parallel {

using kernels::require;

Partition::Partition(std::size_t units, int ranks) : units_{units}, ranks_{ranks} {
    require(ranks >= 1, "a partition needs at least one rank");
}

Partition Partition::of_shares(std::vector<std::size_t> const& shares) {
    auto const units = std::accumulate(shares.begin(), shares.end(), std::size_t{0});
    Partition cut(units, static_cast<int>(shares.size()));
    cut.begins_.resize(shares.size() + 1);
    std::partial_sum(shares.begin(), shares.end(), cut.begins_.begin() + 1);
    return cut;
}

Range Partition::of(int rank) const {
    require(rank >= 0 && rank < ranks_, "rank lies outside the partition");
    auto const index = static_cast<std::size_t>(rank);
    if (!begins_.empty()) return {begins_[index], begins_[index + 1] - begins_[index]};
    std::size_t const share = units_ / static_cast<std::size_t>(ranks_);
    std::size_t const rest = units_ % static_cast<std::size_t>(ranks_);
    return {index * share + std::min(index, rest), share + (index < rest ? 1 : 0)};
}

std::vector<std::size_t> Partition::counts(std::size_t elements_per_unit) const {
    std::vector<std::size_t> all(static_cast<std::size_t>(ranks_));
    for (int rank = 0; rank < ranks_; ++rank) {
        all[static_cast<std::size_t>(rank)] = count(rank) * elements_per_unit;
    }
    return all;
}

bool operator==(Partition const& a, Partition const& b) {
    return a.ranks_ == b.ranks_ && a.counts() == b.counts();
}

}  // namespace tesserank::parallel
