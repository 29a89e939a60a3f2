#include "app/rank_places.hpp"

#include <cstddef>
#include <span>

namespace tesserank::app {

std::vector<RankPlace> gather_places(parallel::Communicator& ranks) {
    auto const mine = find_place();
    std::vector<RankPlace> all(static_cast<std::size_t>(ranks.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof(RankPlace));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(all)));
    return all;
}

}  // namespace tesserank::app
