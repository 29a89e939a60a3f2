#pragma once

#include "tests/emulation/executor.hpp"

#include <cuda_runtime.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

/// Work waits in its stream until somebody waits for it: what is read too early is not there yet.
namespace tesserank::emulation {

struct Work {
    std::function<void()> run;
    std::shared_ptr<Grid const> grid{};  ///< of a kernel, which has no `run`
};
/// Whether it has ended; see run_grid(). `next` follows on the same stream; when it is a dependent
/// kernel its first block begins before.
bool perform(Work const& work, Work const* next);

/// A graph on its way, shared by the streams that take part.
struct Capture {
    cudaStream_t origin = nullptr;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    bool valid = true;
    std::shared_ptr<CUgraph_st> graph{};
};

/// One recording of an event.
struct Mark {
    cudaStream_t stream = nullptr;
    std::uint64_t position = 0;  ///< reached when the stream has done so much
    std::shared_ptr<Capture> capture;
    bool reached = false;
    std::chrono::steady_clock::time_point when;
};

}  // namespace tesserank::emulation

struct CUstream_st {
    bool blocking = true;  ///< takes turns with the default stream
    std::deque<tesserank::emulation::Work> queue{};
    std::uint64_t queued = 0, done = 0;
    std::shared_ptr<tesserank::emulation::Capture> capture{};
    bool joined = true;  ///< nothing captured since the last event that another stream waited for
};
struct CUevent_st {
    std::shared_ptr<tesserank::emulation::Mark> mark;
};
struct CUuserObject_st {
    std::shared_ptr<void> value;
};
struct CUgraph_st {
    std::vector<tesserank::emulation::Work> nodes{};
    std::vector<std::shared_ptr<void>> objects{};  ///< that go when graphs do
};
struct CUgraphExec_st {
    std::shared_ptr<std::vector<tesserank::emulation::Work> const> nodes;
    std::vector<std::shared_ptr<void>> objects;
};

namespace tesserank::emulation {

/// Taken by every call: the device runs in the thread that waits for it.
std::recursive_mutex& runtime_mutex();

/// Keeps an error for cudaGetLastError().
cudaError_t result(cudaError_t error);
/// cudaErrorLaunchFailure after a fault.
cudaError_t device_state();

/// Queues work, or captures it.
cudaError_t enqueue(cudaStream_t stream, Work work);
inline cudaError_t enqueue(cudaStream_t stream, std::function<void()> run) {
    return enqueue(stream, Work{.run = std::move(run)});
}
void run_until(cudaStream_t stream, std::uint64_t position);
void run_all(cudaStream_t stream);
void run_all_streams();
void run_blocking_streams();
std::vector<cudaStream_t>& streams();

/// What a call that is not allowed in a capture gives: an error while one is under way, which it
/// makes invalid.
cudaError_t forbidden_in_capture();
bool captures(cudaStream_t stream);

}  // namespace tesserank::emulation
