#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace tesserank::test {

/// A call of NCCL that was executed: what it was asked for, in bytes of the whole. A broadcast or
/// reduce is one call on each rank, a send and its receive one each.
struct NcclCall {
    std::string function;
    std::size_t bytes = 0;
};

/// What a test tells the double of this rank, and learns from it.
struct NcclDouble {
    bool never_connects = false;  ///< the others connect, this rank's start stays under way
    /// So many more calls are executed; then the network fails. Negative: never.
    int calls_until_error = -1;
    int calls_until_refusal = -1;  ///< the same for calls that are refused when they are made
    /// Called again and again where a GPU would be waiting for other ranks, with the seconds since.
    std::function<void(double)> while_waiting;

    std::vector<NcclCall> executed;
    std::vector<std::string> misuse;  ///< ranks that do not call the same, and the like
    int connected = 0, finalized = 0, destroyed = 0, aborted = 0;
    int registered = 0, windows = 0;  ///< now
    int open_groups = 0;              ///< now, of the thread that makes the calls
};

/// Of the double that was loaded from this file.
NcclDouble& nccl_double(char const* library);

}  // namespace tesserank::test
