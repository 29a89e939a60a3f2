#pragma once

#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::io {

/// What loading has cost this rank so far.
struct LoadReport {
    std::size_t bytes_read = 0;       ///< of weights, from files
    std::size_t bytes_sent = 0;       ///< to other ranks; a broadcast counts once for each of them
    std::size_t most_held_bytes = 0;  ///< of memory for reading and exchanging, at any time
    double open_seconds = 0;
    double read_seconds = 0;      ///< with checking; while an earlier part is exchanged
    double exchange_seconds = 0;  ///< sending and receiving
    double place_seconds = 0;     ///< sorting out, and copying to the device
};

/// Of two loads, one after the other.
LoadReport sum_of(LoadReport const& one, LoadReport const& other);

/// Those of all ranks, on every rank. Collective.
std::vector<LoadReport> gather_reports(LoadReport const& mine, parallel::MpiCommunicator& ranks);

}  // namespace tesserank::io
