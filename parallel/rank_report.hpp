#pragma once

#include "parallel/collective_ring.hpp"
#include "parallel/whereabouts.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tesserank::parallel {

/// What a rank says of itself when others wonder. Travels as bytes.
struct RankReport {
    int rank = 0;
    HostName host;
    ShortText<31> phase;
    double seconds_still = 0;  ///< since its last sign of progress
    CollectiveRing::Snapshot calls;
};

/// What the ranks of a job were found doing, when none of them had made progress for too long.
struct Stall {
    double limit_seconds = 0;
    std::vector<HostName> hosts;                     ///< by rank
    std::vector<std::optional<RankReport>> reports;  ///< by rank; none: it does not answer
};

/// Who is late, and where the ranks' calls differ; then a line for each rank.
std::string describe(Stall const& stall);

/// The rings of all ranks that answered, a line for each call.
std::string rings_text(Stall const& stall);

}  // namespace tesserank::parallel
