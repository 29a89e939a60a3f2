#pragma once

#include "tests/support/nccl_double.hpp"

#include <mpi.h>
#include <nccl.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tesserank::test {

/// What every rank says of a call before its data: ranks that call something else are found out.
struct CallHead {
    enum class Kind : std::int32_t {
        hello,
        all_reduce,
        reduce_scatter,
        all_gather,
        reduce,
        broadcast,
        send,
        receive,
    };
    Kind kind = Kind::hello;
    std::int32_t type = ncclUint8;
    std::int32_t root = -1;  ///< or the other end
    std::int32_t unused = 0;
    std::uint64_t number = 0;  ///< of the collective calls of this communicator
    std::uint64_t count = 0;
    bool operator==(CallHead const&) const = default;
};

std::string to_string(CallHead const& head);
std::size_t bytes_of(CallHead const& head);

/// One call of NCCL on its way through a stream.
struct DoubleCall {
    CallHead head;
    std::byte const* send = nullptr;
    std::byte* received = nullptr;
};

}  // namespace tesserank::test

/// A communicator of the double: point-to-point messages over MPI_COMM_WORLD under tags of its own,
/// which nobody else uses there. Lives until the process ends, since streams and graphs refer to
/// it.
struct ncclComm {
    ncclComm(int rank, int size, int id);

    /// Starts to connect; see state().
    void start();
    /// What ncclCommGetAsyncError tells.
    ncclResult_t state();
    void execute(std::vector<tesserank::test::DoubleCall> const& calls);
    void fail(ncclResult_t result, std::string const& text);
    /// To be called for what a stream captures: the graph counts until it is destroyed.
    void stay_while_recorded(cudaStream_t stream);

    int rank, size;
    ncclResult_t error = ncclSuccess;
    std::string error_text;
    std::atomic<bool> aborted = false;
    std::atomic<int> recordings = 0;      ///< of its calls, that live
    tesserank::test::CallHead executing;  ///< for messages
    int polls_in_progress = 0;            ///< calls are taken in by another thread: not at once
    std::deque<cudaStream_t> pending;     ///< streams of what is queued and not captured

  private:
    using Bytes = std::vector<std::byte>;
    /// A message under way; MPI needs its memory until it is there.
    struct Parcel {
        tesserank::test::CallHead head;
        Bytes data;
        MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    };

    void execute_collective(tesserank::test::DoubleCall const& call);
    void execute_messages(std::span<tesserank::test::DoubleCall const> calls);
    void send(int peer, int tag, tesserank::test::CallHead const& head,
              std::span<std::byte const> data);
    /// Nothing when this was aborted meanwhile.
    std::unique_ptr<Parcel> receive(int peer, int tag);
    bool wait(MPI_Request* request);
    void add_up(std::vector<Bytes> const& terms, tesserank::test::CallHead const& head,
                std::size_t first, std::size_t count, std::byte* sum) const;

    int tag_;
    std::uint64_t collectives_ = 0;
    std::vector<std::unique_ptr<Parcel>> sent_;
    std::vector<bool> greeted_;
};
