#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <utility>

namespace tesserank::kernels::cuda {

/// How the host waits for the device. With somebody to look after what the device itself waits for
/// (other ranks, which may have failed), it asks again and again instead of blocking.
class Watch {
  public:
    /// See Backend::set_watch.
    void set(std::function<void(double)> look) { look_ = std::move(look); }

    /// Until all that is queued has run. Errors: SystemError of what ran; what `look` throws.
    void wait_for(cudaStream_t stream) const;
    /// Until the device has come by the event.
    void wait_for(cudaEvent_t event) const;

  private:
    template <class Query>
    void poll(Query const& query) const;
    /// Who looks may know better than CUDA what has failed.
    void check(cudaError_t code, char const* call) const;

    std::function<void(double)> look_;
};

}  // namespace tesserank::kernels::cuda
