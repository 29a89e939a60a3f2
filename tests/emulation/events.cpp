#include "tests/emulation/streams.hpp"

#include <memory>
#include <utility>

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

void settle(Mark const& mark) {
    if (!mark.reached && mark.stream != nullptr) run_until(mark.stream, mark.position);
}

}  // namespace

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new CUevent_st;
    return result(device_state());
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return result(device_state());
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    auto const mark = std::make_shared<Mark>();
    event->mark = mark;
    mark->stream = stream;
    if (captures(stream)) {
        mark->capture = stream->capture;
        return result(stream->capture->valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    }
    if (stream != nullptr) mark->position = stream->queued + 1;
    return result(enqueue(stream, [mark] {
        mark->reached = true;
        mark->when = std::chrono::steady_clock::now();
    }));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    Lock const lock(runtime_mutex());
    auto const mark = event->mark;
    if (mark == nullptr) return result(device_state());
    if (mark->capture == nullptr) {
        if (captures(stream) && !mark->reached) {
            stream->capture->valid = false;
            return result(cudaErrorStreamCaptureUnsupported);
        }
        return result(enqueue(stream, [mark] { settle(*mark); }));
    }
    if (stream == nullptr) return result(cudaErrorStreamCaptureImplicit);
    if (stream->capture == nullptr) stream->capture = mark->capture;
    if (mark->stream != stream) mark->stream->joined = true;
    return result(cudaSuccess);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    Lock const lock(runtime_mutex());
    if (event->mark == nullptr || event->mark->reached) return result(device_state());
    if (event->mark->capture != nullptr) return result(cudaErrorCapturedEvent);
    cudaStreamQuery(event->mark->stream);
    return device_state() == cudaSuccess ? cudaErrorNotReady : result(device_state());
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    Lock const lock(runtime_mutex());
    if (event->mark == nullptr) return result(device_state());
    if (event->mark->capture != nullptr) return result(cudaErrorCapturedEvent);
    settle(*event->mark);
    return result(device_state());
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    Lock const lock(runtime_mutex());
    if (start->mark == nullptr || end->mark == nullptr) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (!start->mark->reached || !end->mark->reached) return result(cudaErrorNotReady);
    *milliseconds =
        std::chrono::duration<float, std::milli>(end->mark->when - start->mark->when).count();
    return result(device_state());
}
