#include "parallel/nccl_library.hpp"

namespace tesserank::parallel {

NcclLibrary::NcclLibrary(std::string const& path)
    : library_("NCCL 2.14 or newer", {path.empty() ? "libnccl.so.2" : path}) {
    library_.find(get_version, "ncclGetVersion");
    library_.find(error_string, "ncclGetErrorString");
    library_.find(get_unique_id, "ncclGetUniqueId");
    library_.find(init, "ncclCommInitRankConfig");
    library_.find(async_error, "ncclCommGetAsyncError");
    library_.find(finalize, "ncclCommFinalize");
    library_.find(destroy, "ncclCommDestroy");
    library_.find(abort, "ncclCommAbort");
    library_.find(group_start, "ncclGroupStart");
    library_.find(group_end, "ncclGroupEnd");
    library_.find(all_reduce, "ncclAllReduce");
    library_.find(reduce_scatter, "ncclReduceScatter");
    library_.find(all_gather, "ncclAllGather");
    library_.find(reduce, "ncclReduce");
    library_.find(broadcast, "ncclBroadcast");
    library_.find(send, "ncclSend");
    library_.find(receive, "ncclRecv");
    library_.find_if_there(last_error, "ncclGetLastError");
    library_.find_if_there(register_buffer, "ncclCommRegister");
    library_.find_if_there(deregister_buffer, "ncclCommDeregister");
    library_.find_if_there(register_window, "ncclCommWindowRegister");
    library_.find_if_there(deregister_window, "ncclCommWindowDeregister");
}

}  // namespace tesserank::parallel
