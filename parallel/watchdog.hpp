#pragma once

#include "parallel/mpi_communicator.hpp"

#include <memory>
#include <string>

namespace tesserank::parallel {

struct WatchdogOptions {
    /// So long may all ranks be without progress while one of them waits for the others; 0: for
    /// ever.
    double seconds = 120.0;
    /// Where the last collectives of all ranks are written when that has happened.
    std::string log_path;
    int exit_status = 1;  ///< with which the job ends
};

/// Ends the job when its ranks wait for each other in vain, and says what each was doing.
///
/// A thread on each rank looks now and then whether the rank still makes progress (see
/// kernels::note_progress). One that waits in a collective for too long tells the lowest rank that
/// answers, over TCP, which asks all ranks, and those that do not answer once more. When none of
/// them has made progress for that long, it prints who is late and where the ranks' calls differ,
/// writes all their CollectiveRings to a file and ends the job, through MPI if that still works. As
/// long as one rank moves on (it reads a slow disk, say) the others wait for it, however long that
/// takes.
///
/// With one rank there is nobody to wait for, and nothing is started.
class Watchdog {
  public:
    /// Watches what goes over `ranks`, which must outlive this. Collective.
    /// Errors: SystemError, on all ranks, when one of them cannot listen.
    Watchdog(MpiCommunicator& ranks, WatchdogOptions options);
    ~Watchdog();
    Watchdog(Watchdog const&) = delete;
    Watchdog& operator=(Watchdog const&) = delete;

  private:
    class Thread;
    std::unique_ptr<Thread> thread_;
};

}  // namespace tesserank::parallel
