#pragma once

#include <chrono>

namespace tesserank::parallel {

/// MPI from first to last use: created first in main, destroyed last. Finalises only when it dies
/// without an exception in flight; after an error that not all ranks share, call abort():
/// MPI_Finalize would hang.
class MpiSession {
  public:
    /// Starts MPI with MPI_THREAD_FUNNELED (only the main thread communicates). Works without
    /// mpirun as one rank. Errors: SystemError when MPI cannot start or offers a lower thread
    /// level.
    MpiSession(int& argc, char**& argv);
    ~MpiSession();
    MpiSession(MpiSession const&) = delete;
    MpiSession& operator=(MpiSession const&) = delete;

    /// Whether one lives.
    static bool is_running();
    /// Of the whole job.
    static int rank();
    static int size();

    /// Writes out what stdio holds back, then ends all ranks of the job at once with this exit
    /// status.
    [[noreturn]] static void abort(int exit_status);
    /// Ends all ranks from another thread than the one that communicates, which is stopped first
    /// wherever it is: MPI does not bear two threads in it. What stdio holds back is lost, as the
    /// other thread may have its lock. Where the library cannot end the job any more, this process
    /// ends after two seconds, which the launcher sees.
    [[noreturn]] static void abort_from_thread(int exit_status);
    /// Ends this process after so many seconds, whatever else becomes of it.
    static void exit_after(std::chrono::seconds time, int exit_status);

  private:
    int exceptions_;  ///< in flight at construction
};

}  // namespace tesserank::parallel
