#include "parallel/nccl_library.hpp"

#include "kernels/error.hpp"

#include <dlfcn.h>

namespace tesserank::parallel {
namespace {

void* open(std::string const& file) {
    void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        throw kernels::SystemError("NCCL is not there: " + std::string(dlerror()));
    return library;
}

template <class Function>
void bind_if_there(void* library, Function*& function, char const* name) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
}

template <class Function>
void bind(void* library, Function*& function, char const* name) {
    bind_if_there(library, function, name);
    if (function != nullptr) return;
    throw kernels::SystemError("the NCCL library that was found has no " + std::string(name) +
                               ": 2.14 or newer is needed");
}

}  // namespace

NcclLibrary::NcclLibrary(std::string const& path) {
    void* const library = open(path.empty() ? "libnccl.so.2" : path);
    bind(library, get_version, "ncclGetVersion");
    bind(library, error_string, "ncclGetErrorString");
    bind(library, get_unique_id, "ncclGetUniqueId");
    bind(library, init, "ncclCommInitRankConfig");
    bind(library, async_error, "ncclCommGetAsyncError");
    bind(library, finalize, "ncclCommFinalize");
    bind(library, destroy, "ncclCommDestroy");
    bind(library, abort, "ncclCommAbort");
    bind(library, group_start, "ncclGroupStart");
    bind(library, group_end, "ncclGroupEnd");
    bind(library, all_reduce, "ncclAllReduce");
    bind(library, reduce_scatter, "ncclReduceScatter");
    bind(library, all_gather, "ncclAllGather");
    bind(library, reduce, "ncclReduce");
    bind(library, broadcast, "ncclBroadcast");
    bind(library, send, "ncclSend");
    bind(library, receive, "ncclRecv");
    bind_if_there(library, last_error, "ncclGetLastError");
    bind_if_there(library, register_buffer, "ncclCommRegister");
    bind_if_there(library, deregister_buffer, "ncclCommDeregister");
    bind_if_there(library, register_window, "ncclCommWindowRegister");
    bind_if_there(library, deregister_window, "ncclCommWindowDeregister");
}

std::string NcclLibrary::path() const {
    Dl_info info{};
    auto const* const address = reinterpret_cast<void const*>(get_version);
    return dladdr(address, &info) == 0 ? "" : info.dli_fname;
}

}  // namespace tesserank::parallel
