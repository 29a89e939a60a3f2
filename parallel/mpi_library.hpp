#pragma once

#include <string>

namespace tesserank::parallel {

/// The MPI library's own name and version, on one line: "Open MPI v4.1.4, ...".
std::string mpi_library_version();

/// The level of thread support that was granted: "MPI_THREAD_FUNNELED". Needs a running MpiSession.
std::string mpi_thread_level();

/// Whether the MPI library takes pointers to CUDA memory. False where it cannot say.
bool mpi_reaches_cuda();

}  // namespace tesserank::parallel
