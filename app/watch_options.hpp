#pragma once

#include "parallel/mpi_communicator.hpp"
#include "parallel/watchdog.hpp"

#include <boost/program_options.hpp>

#include <cstddef>
#include <string>

namespace tesserank::app {

/// How commands that run on ranks watch over them.
struct WatchOptions {
    std::size_t collective_timeout = 120;  ///< seconds; 0: for ever
    std::string collective_log = "tesserank.collectives.txt";
    bool check_collectives = false;

    /// How long the device's queue may stand still: longer than the watchdog waits, which says more
    /// about it.
    double queue_seconds() const;
};

void add_watch_options(boost::program_options::options_description& options, WatchOptions& watch);
/// Of what was parsed. `output` is the file of results, beside which the log of collectives is
/// written unless another place is given; "-" or empty: the working folder.
/// Errors: UsageError for a wrong number.
void read_watch_options(boost::program_options::variables_map const& values,
                        std::string const& output, WatchOptions& watch);

/// Watches over the ranks while it lives. Collective.
parallel::Watchdog watch_over(parallel::MpiCommunicator& ranks, WatchOptions const& options);

}  // namespace tesserank::app
