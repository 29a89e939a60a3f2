#pragma once

#include <cstddef>

namespace tesserank::io {

/// How weights come from the file to the ranks.
enum class LoadMode : unsigned char {
    cooperative,  ///< every byte is read once in the job and sent to those who need it
    direct,       ///< every rank reads what it needs itself, whole blocks at a time
    automatic,    ///< begins cooperatively, then goes on with what is faster
};

/// Rounds of a cooperative load after which `automatic` judges.
inline constexpr std::size_t measured_rounds = 2;
/// What direct reading has to be better by: it asks more of the file system, which others use too.
inline constexpr double direct_margin = 0.8;

/// What one rank has measured in the first rounds, and what is left to do for it.
struct LoadMeasure {
    std::size_t bytes_read = 0, bytes_exchanged = 0;  ///< sent and received
    double read_seconds = 0;
    double exchange_seconds = 0;  ///< with sorting out and placing, which go with it
    std::size_t left_read = 0, left_exchanged = 0;  ///< cooperatively
    std::size_t left_direct = 0;                    ///< bytes to read directly
};

struct LoadEstimate {
    double cooperative_seconds = 0, direct_seconds = 0;
};

/// How long the rest takes at the measured rates. Reading and exchanging run at the same time, so
/// the slower of them counts.
LoadEstimate estimate_load(LoadMeasure const& measure);

/// The rule of `automatic`, for the estimates of the slowest rank.
inline bool prefers_direct(LoadEstimate const& slowest) {
    return slowest.direct_seconds < direct_margin * slowest.cooperative_seconds;
}

}  // namespace tesserank::io
