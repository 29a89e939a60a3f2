#include "tests/support/nccl_double.hpp"

#include "tests/support/nccl_double_comm.hpp"

#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

/// NCCL's API over MPI: a library that the tests have loaded in NCCL's place. Calls are executed by
/// the stream that they were queued on, when its turn comes, as often as a graph replays them.
extern "C" tesserank::test::NcclDouble* tesserank_nccl_double();

namespace tesserank::test {
namespace {

struct Group {
    int depth = 0;
    ncclComm_t comm = nullptr;
    cudaStream_t stream = nullptr;
    std::vector<DoubleCall> calls;
};
Group& group() {
    thread_local Group only;
    return only;
}

/// Calls that were queued, kept for graphs that replay them.
struct Queued {
    ncclComm_t comm;
    std::vector<DoubleCall> calls;
    bool captured;
};
std::vector<std::unique_ptr<Queued>>& all_queued() {
    static std::vector<std::unique_ptr<Queued>> all;
    return all;
}
std::vector<std::unique_ptr<ncclComm>>& all_comms() {
    static std::vector<std::unique_ptr<ncclComm>> all;
    return all;
}

void run(void* data) {
    auto& queued = *static_cast<Queued*>(data);
    queued.comm->execute(queued.calls);
    if (!queued.captured) queued.comm->pending.pop_front();
}

ncclResult_t enqueue(Group const& what) {
    if (what.calls.empty()) return ncclSuccess;
    auto status = cudaStreamCaptureStatusNone;
    cudaStreamIsCapturing(what.stream, &status);
    bool const captured = status == cudaStreamCaptureStatusActive;
    auto& queued = *all_queued().emplace_back(
        std::make_unique<Queued>(Queued{what.comm, what.calls, captured}));
    if (captured) {
        what.comm->stay_while_recorded(what.stream);
    } else {
        what.comm->pending.push_back(what.stream);
    }
    if (cudaLaunchHostFunc(what.stream, run, &queued) != cudaSuccess) return ncclUnhandledCudaError;
    what.comm->polls_in_progress = 2;
    return ncclInProgress;
}

ncclResult_t call(ncclComm_t comm, cudaStream_t stream, DoubleCall const& what) {
    if (comm->aborted) return ncclInvalidArgument;
    auto& control = *tesserank_nccl_double();
    if (control.calls_until_refusal == 0) return ncclInvalidUsage;
    control.calls_until_refusal -= control.calls_until_refusal > 0 ? 1 : 0;
    if (what.head.root >= comm->size) return ncclInvalidArgument;
    auto& current = group();
    if (current.depth == 0) return enqueue({0, comm, stream, {what}});
    if (!current.calls.empty() && (current.comm != comm || current.stream != stream)) {
        return ncclInvalidUsage;
    }
    current.comm = comm;
    current.stream = stream;
    current.calls.push_back(what);
    return ncclSuccess;
}

/// As NCCL does: for good, when somebody keeps one.
void wait_for_recordings(ncclComm const& comm) {
    while (comm.recordings > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::byte const* bytes(void const* data) { return static_cast<std::byte const*>(data); }
std::byte* bytes(void* data) { return static_cast<std::byte*>(data); }

}  // namespace
}  // namespace tesserank::test

// NOLINTBEGIN(readability-identifier-naming): names are NCCL's.
using namespace tesserank::test;
using Kind = CallHead::Kind;

extern "C" {

NcclDouble* tesserank_nccl_double() {
    static NcclDouble only;
    return &only;
}

ncclResult_t ncclGetVersion(int* version) {
    *version = 22809;
    return ncclSuccess;
}

char const* ncclGetErrorString(ncclResult_t result) {
    switch (result) {
        case ncclRemoteError:
            return "remote process exited or there was a network error";
        case ncclInvalidUsage:
            return "invalid usage";
        case ncclInvalidArgument:
            return "invalid argument";
        default:
            return "unhandled error";
    }
}

char const* ncclGetLastError(ncclComm_t comm) {
    return comm == nullptr ? "" : comm->error_text.c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    static int last = 0;
    ++last;
    std::memcpy(id->internal, &last, sizeof(last));
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
    if (config->blocking != 0) return ncclInvalidArgument;  // what this double is about
    int number = 0;
    std::memcpy(&number, id.internal, sizeof(number));
    *comm = all_comms().emplace_back(std::make_unique<ncclComm>(rank, ranks, number)).get();
    (*comm)->start();
    ++tesserank_nccl_double()->connected;
    return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
    *error = comm->state();
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    while (!comm->pending.empty()) {
        if (cudaStreamSynchronize(comm->pending.front()) != cudaSuccess) return ncclInternalError;
    }
    comm->polls_in_progress = 2;
    ++tesserank_nccl_double()->finalized;
    return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    ++tesserank_nccl_double()->destroyed;
    comm->aborted = true;
    wait_for_recordings(*comm);
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
    ++tesserank_nccl_double()->aborted;
    comm->aborted = true;
    wait_for_recordings(*comm);
    return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
    ++group().depth;
    ++tesserank_nccl_double()->open_groups;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
    if (group().depth == 0) return ncclInvalidUsage;
    --tesserank_nccl_double()->open_groups;
    if (--group().depth > 0) return ncclSuccess;
    return enqueue(std::exchange(group(), {}));
}

ncclResult_t ncclAllReduce(void const* send, void* received, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::all_reduce, .type = type, .count = count};
    return call(comm, stream, {head, bytes(send), bytes(received)});
}

ncclResult_t ncclReduceScatter(void const* send, void* received, std::size_t count,
                               ncclDataType_t type, ncclRedOp_t, ncclComm_t comm,
                               cudaStream_t stream) {
    CallHead const head{.kind = Kind::reduce_scatter, .type = type, .count = count};
    return call(comm, stream, {head, bytes(send), bytes(received)});
}

ncclResult_t ncclAllGather(void const* send, void* received, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::all_gather, .type = type, .count = count};
    return call(comm, stream, {head, bytes(send), bytes(received)});
}

ncclResult_t ncclReduce(void const* send, void* received, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t, int root, ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::reduce, .type = type, .root = root, .count = count};
    return call(comm, stream, {head, bytes(send), bytes(received)});
}

ncclResult_t ncclBroadcast(void const* send, void* received, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::broadcast, .type = type, .root = root, .count = count};
    return call(comm, stream, {head, bytes(send), bytes(received)});
}

ncclResult_t ncclSend(void const* send, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::send, .type = type, .root = peer, .count = count};
    return call(comm, stream, {head, bytes(send), nullptr});
}

ncclResult_t ncclRecv(void* received, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
    CallHead const head{.kind = Kind::receive, .type = type, .root = peer, .count = count};
    return call(comm, stream, {head, nullptr, bytes(received)});
}

ncclResult_t ncclCommRegister(ncclComm_t, void* memory, std::size_t, void** handle) {
    *handle = memory;
    ++tesserank_nccl_double()->registered;
    return ncclSuccess;
}

ncclResult_t ncclCommDeregister(ncclComm_t, void*) {
    --tesserank_nccl_double()->registered;
    return ncclSuccess;
}

ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void* memory, std::size_t, void** window,
                                    int) {
    *window = memory;
    comm->polls_in_progress = 2;
    ++tesserank_nccl_double()->windows;
    return ncclInProgress;
}

ncclResult_t ncclCommWindowDeregister(ncclComm_t, void*) {
    --tesserank_nccl_double()->windows;
    return ncclSuccess;
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
