#pragma once

#include <cstddef>

namespace tesserank::io {

/// What loading has cost this rank so far.
struct LoadReport {
    std::size_t bytes_read = 0;       ///< of weights, from files
    std::size_t bytes_sent = 0;       ///< that other ranks have got of what this one has read
    std::size_t most_held_bytes = 0;  ///< of memory for reading and exchanging, at any time
    double open_seconds = 0;
    double read_seconds = 0;      ///< with checking; while an earlier part is exchanged
    double exchange_seconds = 0;  ///< sending and receiving
    double place_seconds = 0;     ///< sorting out, and copying to the device
};

}  // namespace tesserank::io
