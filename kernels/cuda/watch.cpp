#include "kernels/cuda/watch.hpp"

#include "kernels/cuda/cuda_check.hpp"

#include <chrono>
#include <thread>

namespace tesserank::kernels::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds between_looks(1);
/// Longer than a step of decode mostly takes, so that its end is seen at once.
constexpr std::chrono::milliseconds spinning(20);
constexpr std::chrono::microseconds pause(100);

}  // namespace

template <class Query>
void Watch::poll(Query const& query) const {
    auto const start = Clock::now();
    auto next_look = start + between_looks;
    while (query() == cudaErrorNotReady) {
        auto const now = Clock::now();
        if (now >= next_look) {
            look_(std::chrono::duration<double>(now - start).count());
            next_look = now + between_looks;
        }
        if (now - start < spinning) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(pause);
        }
    }
}

// What has ended is then waited for, in any case, for its error.
void Watch::wait_for(cudaStream_t stream) const {
    if (look_) poll([&] { return cudaStreamQuery(stream); });
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void Watch::wait_for(cudaEvent_t event) const {
    if (look_) poll([&] { return cudaEventQuery(event); });
    check(cudaEventSynchronize(event), "cudaEventSynchronize");
}

void Watch::check(cudaError_t code, char const* call) const {
    if (code != cudaSuccess && look_) look_(0.0);
    check_cuda(code, call);
}

}  // namespace tesserank::kernels::cuda
