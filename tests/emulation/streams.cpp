#include "tests/emulation/streams.hpp"

#include "tests/emulation/fault.hpp"
#include "tests/emulation/memory.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace tesserank::emulation {
namespace {

/// A host that only ever queues does not fill the memory.
constexpr std::size_t longest_queue = 4096;

void run_one(cudaStream_t stream) {
    Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    auto const* const next = stream->queue.empty() ? nullptr : &stream->queue.front();
    if (!faulted() && !perform(work, next)) {
        stream->queue.push_front(std::move(work));
        std::this_thread::yield();
        return;
    }
    ++stream->done;
}

}  // namespace

std::recursive_mutex& runtime_mutex() {
    static std::recursive_mutex mutex;
    return mutex;
}

std::vector<cudaStream_t>& streams() {
    static std::vector<cudaStream_t> all;
    return all;
}

cudaError_t device_state() { return faulted() ? cudaErrorLaunchFailure : cudaSuccess; }

bool captures(cudaStream_t stream) { return stream != nullptr && stream->capture != nullptr; }

cudaError_t enqueue(cudaStream_t stream, Work work) {
    if (faulted()) return cudaErrorLaunchFailure;
    if (stream == nullptr) {
        if (cudaError_t const error = forbidden_in_capture(); error != cudaSuccess) return error;
        run_blocking_streams();
        while (!perform(work, nullptr)) std::this_thread::yield();
        return device_state();
    }
    if (stream->capture != nullptr) {
        if (!stream->capture->valid) return cudaErrorStreamCaptureInvalidated;
        stream->capture->graph->nodes.push_back(std::move(work));
        stream->joined = false;
        return cudaSuccess;
    }
    stream->queue.push_back(std::move(work));
    ++stream->queued;
    while (stream->queue.size() > longest_queue) run_one(stream);
    return cudaSuccess;
}

void run_until(cudaStream_t stream, std::uint64_t position) {
    while (stream->done < position && !stream->queue.empty()) run_one(stream);
}

void run_all(cudaStream_t stream) {
    if (stream != nullptr) {
        run_until(stream, stream->queued);
    } else {
        run_blocking_streams();
    }
}

void run_all_streams() {
    for (cudaStream_t const stream : streams()) run_all(stream);
}

void run_blocking_streams() {
    for (cudaStream_t const stream : streams()) {
        if (stream->blocking) run_all(stream);
    }
}

cudaError_t forbidden_in_capture() {
    bool forbidden = false;
    for (cudaStream_t const stream : streams()) {
        if (stream->capture == nullptr || stream->capture->mode == cudaStreamCaptureModeRelaxed) {
            continue;
        }
        stream->capture->valid = false;
        forbidden = true;
    }
    return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

}  // namespace tesserank::emulation

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    Lock const lock(runtime_mutex());
    *stream = new CUstream_st{.blocking = flags != cudaStreamNonBlocking};
    streams().push_back(*stream);
    return result(device_state());
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
    run_all(stream);
    std::erase(streams(), stream);
    delete stream;
    return result(device_state());
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    if (captures(stream)) {
        stream->capture->valid = false;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    run_all(stream);
    check_guards(nullptr);
    return result(device_state());
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    if (captures(stream)) {
        stream->capture->valid = false;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    if (faulted() || stream == nullptr || stream->queue.empty()) return result(device_state());
    run_one(stream);
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
    Lock const lock(runtime_mutex());
    if (cudaError_t const error = forbidden_in_capture(); error != cudaSuccess) {
        return result(error);
    }
    run_all_streams();
    check_guards(nullptr);
    return result(device_state());
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    Lock const lock(runtime_mutex());
    return result(enqueue(stream, [function, data] { function(data); }));
}
