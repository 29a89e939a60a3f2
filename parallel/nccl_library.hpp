#pragma once

#include "kernels/library.hpp"

#include <nccl.h>

#include <string>

namespace tesserank::parallel {

/// The functions of NCCL that we call. Its header describes them; the library itself is loaded, not
/// linked. Private to this folder.
class NcclLibrary {
  public:
    /// From `path`, or from where the loader finds libnccl.so.2 when that is empty.
    /// Errors: SystemError when there is no library, or one without a function that is needed.
    explicit NcclLibrary(std::string const& path);

    /// The file that the functions come from.
    std::string path() const { return library_.path(); }

    decltype(&::ncclGetVersion) get_version = nullptr;
    decltype(&::ncclGetErrorString) error_string = nullptr;
    decltype(&::ncclGetUniqueId) get_unique_id = nullptr;
    decltype(&::ncclCommInitRankConfig) init = nullptr;
    decltype(&::ncclCommGetAsyncError) async_error = nullptr;
    decltype(&::ncclCommFinalize) finalize = nullptr;
    decltype(&::ncclCommDestroy) destroy = nullptr;
    decltype(&::ncclCommAbort) abort = nullptr;
    decltype(&::ncclGroupStart) group_start = nullptr;
    decltype(&::ncclGroupEnd) group_end = nullptr;
    decltype(&::ncclAllReduce) all_reduce = nullptr;
    decltype(&::ncclReduceScatter) reduce_scatter = nullptr;
    decltype(&::ncclAllGather) all_gather = nullptr;
    decltype(&::ncclReduce) reduce = nullptr;
    decltype(&::ncclBroadcast) broadcast = nullptr;
    decltype(&::ncclSend) send = nullptr;
    decltype(&::ncclRecv) receive = nullptr;
    // Null in libraries that are older than the function.
    char const* (*last_error)(ncclComm_t) = nullptr;
    ncclResult_t (*register_buffer)(ncclComm_t, void*, std::size_t, void**) = nullptr;
    ncclResult_t (*deregister_buffer)(ncclComm_t, void*) = nullptr;
    ncclResult_t (*register_window)(ncclComm_t, void*, std::size_t, void**, int) = nullptr;
    ncclResult_t (*deregister_window)(ncclComm_t, void*) = nullptr;

  private:
    kernels::Library library_;
};

}  // namespace tesserank::parallel
