#include "tests/support/queued_backend.hpp"

#include "kernels/error.hpp"

namespace tesserank::test {
namespace {

void expect(cudaError_t code) { kernels::require(code == cudaSuccess, cudaGetErrorString(code)); }

void release(void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
    cudaFree(memory);
}

}  // namespace

kernels::Buffer QueuedBackend::allocate(std::size_t bytes) {
    if (bytes == 0) return {};
    void* memory = nullptr;
    expect(cudaMalloc(&memory, bytes));
    expect(cudaMemsetAsync(memory, 0, bytes, stream_));
    return {static_cast<std::byte*>(memory), {release, nullptr, bytes}};
}

void QueuedBackend::copy_from_host(std::span<std::byte const> source, std::byte* destination) {
    if (source.empty()) return;
    auto const& kept = sources_.emplace_back(source.begin(), source.end());
    expect(cudaMemcpyAsync(destination, kept.data(), kept.size(), cudaMemcpyHostToDevice, stream_));
}

void QueuedBackend::copy_to_host(std::byte const* source, std::span<std::byte> destination) {
    if (destination.empty()) return;
    expect(cudaMemcpyAsync(destination.data(), source, destination.size(), cudaMemcpyDeviceToHost,
                           stream_));
    synchronize();
}

void QueuedBackend::synchronize() {
    expect(cudaStreamSynchronize(stream_));
    sources_.clear();
}

void QueuedBackend::copy(kernels::ConstTensorView source, kernels::TensorView destination) {
    std::size_t const width = size_of(source.dtype);
    if (source.rows == 0 || source.cols == 0) return;
    expect(cudaMemcpy2DAsync(destination.data, destination.stride * width, source.data,
                             source.stride * width, source.cols * width, source.rows,
                             cudaMemcpyDeviceToDevice, stream_));
}

}  // namespace tesserank::test
