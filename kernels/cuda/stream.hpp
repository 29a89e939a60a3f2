#pragma once

#include "kernels/cuda/cuda_check.hpp"
#include "kernels/handle.hpp"

#include <cuda_runtime.h>

namespace tesserank::kernels::cuda {

struct StreamTraits {
    using Value = cudaStream_t;
    static void close(cudaStream_t stream) noexcept { cudaStreamDestroy(stream); }
};
using Stream = Handle<StreamTraits>;

/// Of the current device; does not wait for the default stream, nor that for it.
inline Stream make_stream() {
    cudaStream_t stream = nullptr;
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return Stream(stream);
}

struct EventTraits {
    using Value = cudaEvent_t;
    static void close(cudaEvent_t event) noexcept { cudaEventDestroy(event); }
};
using Event = Handle<EventTraits>;

/// For order, not for times, which would cost more.
inline Event make_event() {
    cudaEvent_t event = nullptr;
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    return Event(event);
}

}  // namespace tesserank::kernels::cuda
