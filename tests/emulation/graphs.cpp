#include "tests/emulation/device.hpp"
#include "tests/emulation/streams.hpp"

#include <algorithm>
#include <memory>

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

std::size_t captures_so_far = 0;

}  // namespace

std::size_t tesserank::emulation::captures_begun() {
    Lock const lock(runtime_mutex());
    return captures_so_far;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    Lock const lock(runtime_mutex());
    if (stream == nullptr) return result(cudaErrorStreamCaptureUnsupported);
    if (captures(stream)) return result(cudaErrorStreamCaptureUnsupported);
    stream->capture = std::make_shared<Capture>(
        Capture{.origin = stream, .mode = mode, .graph = std::make_shared<CUgraph_st>()});
    stream->joined = true;
    ++captures_so_far;
    return result(device_state());
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    Lock const lock(runtime_mutex());
    *graph = nullptr;
    if (!captures(stream) || stream->capture->origin != stream) {
        return result(cudaErrorStreamCaptureUnmatched);
    }
    auto const capture = stream->capture;
    bool joined = true;
    for (cudaStream_t const other : streams()) {
        if (other->capture != capture) continue;
        other->capture = nullptr;
        joined = joined && (other == stream || other->joined);
    }
    if (!capture->valid) return result(cudaErrorStreamCaptureInvalidated);
    if (!joined) return result(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st(*capture->graph);
    return result(device_state());
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    Lock const lock(runtime_mutex());
    *status = !captures(stream)        ? cudaStreamCaptureStatusNone
              : stream->capture->valid ? cudaStreamCaptureStatusActive
                                       : cudaStreamCaptureStatusInvalidated;
    return result(device_state());
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph) {
    Lock const lock(runtime_mutex());
    bool const there = captures(stream);
    if (id != nullptr) *id = 0;
    if (graph != nullptr) *graph = there ? stream->capture->graph.get() : nullptr;
    return cudaStreamIsCapturing(stream, status);
}

cudaError_t cudaUserObjectCreate(cudaUserObject_t* object, void* value, cudaHostFn_t destroy,
                                 unsigned references, unsigned) {
    if (references != 1) return result(cudaErrorInvalidValue);
    *object = new CUuserObject_st{std::shared_ptr<void>(value, destroy)};
    return result(device_state());
}

cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count,
                                      unsigned flags) {
    Lock const lock(runtime_mutex());
    if (count != 1 || flags != cudaGraphUserObjectMove) return result(cudaErrorInvalidValue);
    std::unique_ptr<CUuserObject_st> const taken(object);
    graph->objects.push_back(std::move(taken->value));
    return result(device_state());
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    Lock const lock(runtime_mutex());
    for (cudaStream_t const stream : streams()) {
        if (stream->capture == nullptr || stream->capture->origin != stream) continue;
        std::swap(stream->capture->mode, *mode);
        break;
    }
    return result(device_state());
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
    Lock const lock(runtime_mutex());
    *executable =
        new CUgraphExec_st{std::make_shared<std::vector<Work>>(graph->nodes), graph->objects};
    return result(device_state());
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return result(device_state()); }

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    for (Work const& node : *executable->nodes) {
        if (cudaError_t const error = enqueue(stream, node); error != cudaSuccess) {
            return result(error);
        }
    }
    return result(device_state());
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
    *count = graph->nodes.size();
    return result(device_state());
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return result(device_state());
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return result(device_state());
}
