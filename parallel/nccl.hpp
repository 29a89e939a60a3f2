#pragma once

#include "parallel/communicator.hpp"
#include "parallel/mpi_communicator.hpp"

#include <memory>
#include <string>

namespace tesserank::parallel {

struct NcclOptions {
    /// The library's file; empty: libnccl.so.2 where the loader finds it.
    std::string library{};
    /// So long may the start take, and a wait for queued work, before it counts as failed. A whole
    /// prefill is one wait.
    double seconds = 120.0;
    /// register_memory() makes symmetric windows (NCCL 2.27): only for memory of CUDA's virtual
    /// memory functions, where all ranks reach each other's memory.
    bool symmetric_memory = false;
};

/// What is there of NCCL, for reports.
struct NcclLibraryInfo {
    std::string version;   ///< "2.28.9"
    std::string path;      ///< of the library's file
    std::string why_none;  ///< when it cannot be used; the others are empty then
};
NcclLibraryInfo find_nccl(std::string const& library = "");

/// Communicator over NCCL for device memory: one rank per GPU. Calls are queued on `stream`, a
/// cudaStream_t of the calling thread's device. `world` serves the start, and notes
/// the calls (see CollectiveRing): it lives longer. Collective over all ranks of the job.
/// Errors: SystemError on all ranks when one has no library or did not connect in time.
std::unique_ptr<Communicator> make_nccl_communicator(MpiCommunicator& world, void* stream,
                                                     NcclOptions const& options = {});

}  // namespace tesserank::parallel
