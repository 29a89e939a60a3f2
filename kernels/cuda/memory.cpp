#include "kernels/contracts.hpp"
#include "kernels/cuda/backend_memory.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace tesserank::kernels::cuda {
namespace {

void release(void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
    cudaFree(memory);
}

/// A recording would read pinned memory again at every replay, when something else is in it; and
/// what allocates or waits would break it off.
void require_no_recording(cudaStream_t stream) {
    auto status = cudaStreamCaptureStatusNone;
    check_cuda(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
    require(status == cudaStreamCaptureStatusNone,
            "what is recorded allocates, waits or touches the host's memory");
}

std::string free_bytes() {
    std::size_t free = 0;
    std::size_t total = 0;
    auto const code = cudaMemGetInfo(&free, &total);
    return code == cudaSuccess ? std::to_string(free) + " bytes free" : "free memory unknown";
}

}  // namespace

void UploadRing::next_piece(cudaStream_t stream, Watch const& watch) {
    check_cuda(cudaEventRecord(pieces_[piece_].copied.get(), stream), "cudaEventRecord");
    piece_ = (piece_ + 1) % pieces_.size();
    used_ = 0;
    watch.wait_for(pieces_[piece_].copied.get());
}

void UploadRing::copy(std::span<std::byte const> source, std::byte* destination,
                      cudaStream_t stream, Watch const& watch) {
    while (!source.empty()) {
        if (used_ == StagingPiece::capacity) next_piece(stream, watch);
        auto const bytes = std::min(source.size(), StagingPiece::capacity - used_);
        auto* staged = pieces_[piece_].memory.get() + used_;
        std::copy_n(source.data(), bytes, staged);
        check_cuda(cudaMemcpyAsync(destination, staged, bytes, cudaMemcpyHostToDevice, stream),
                   "cudaMemcpyAsync");
        used_ += bytes;
        destination += bytes;
        source = source.subspan(bytes);
    }
}

void Download::copy(std::byte const* source, std::span<std::byte> destination, cudaStream_t stream,
                    Watch const& watch) {
    auto const part_of = [&](std::size_t first) {
        return destination.subspan(first,
                                   std::min(StagingPiece::capacity, destination.size() - first));
    };
    auto const start = [&](std::size_t first) {
        auto const& piece = pieces_[first / StagingPiece::capacity % pieces_.size()];
        check_cuda(cudaMemcpyAsync(piece.memory.get(), source + first, part_of(first).size(),
                                   cudaMemcpyDeviceToHost, stream),
                   "cudaMemcpyAsync");
        check_cuda(cudaEventRecord(piece.copied.get(), stream), "cudaEventRecord");
    };
    if (!destination.empty()) start(0);
    for (std::size_t first = 0; first < destination.size(); first += StagingPiece::capacity) {
        auto const next = first + StagingPiece::capacity;
        if (next < destination.size()) start(next);
        auto const& piece = pieces_[first / StagingPiece::capacity % pieces_.size()];
        watch.wait_for(piece.copied.get());
        auto const part = part_of(first);
        std::copy_n(piece.memory.get(), part.size(), part.data());
    }
}

std::byte* ScratchRing::take(std::size_t bytes) {
    require(bytes <= CudaBackend::scratch_capacity,
            "an operation takes more than its scratch memory");
    if (used_ + bytes > capacity) used_ = 0;
    auto* const taken = memory_.get() + used_;
    used_ += (bytes + alignment - 1) / alignment * alignment;
    return taken;
}

std::byte* CudaBackend::scratch(std::size_t bytes) { return memory_->scratch.take(bytes); }

Buffer CudaBackend::allocate(std::size_t bytes) {
    if (bytes == 0) return {};
    require_no_recording(stream_.get());
    void* memory = nullptr;
    if (auto const code = cudaMalloc(&memory, bytes); code != cudaSuccess) {
        cudaGetLastError();  // or the next launch would be blamed for it
        throw SystemError("no room for " + std::to_string(bytes) + " bytes on GPU " +
                          std::to_string(device_) + " (" + properties_.name + ", " + free_bytes() +
                          "): " + cudaGetErrorString(code));
    }
    Buffer buffer(static_cast<std::byte*>(memory),
                  {.release = release, .context = nullptr, .bytes = bytes});
    check_cuda(cudaMemsetAsync(memory, 0, bytes, stream_.get()), "cudaMemsetAsync");
    return buffer;
}

std::size_t CudaBackend::memory_available() const {
    std::size_t free = 0;
    std::size_t total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
}

void CudaBackend::copy_from_host(std::span<std::byte const> source, std::byte* destination) {
    if (source.empty()) return;
    require_no_recording(stream_.get());
    memory_->uploads.copy(source, destination, stream_.get(), memory_->watch);
}

Buffer CudaBackend::allocate_staging(std::size_t bytes) {
    auto const free = [](void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
        cudaFreeHost(memory);
    };
    if (bytes == 0) return {};
    require_no_recording(stream_.get());
    void* memory = nullptr;
    check_cuda(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    return Buffer(static_cast<std::byte*>(memory),
                  {.release = free, .context = nullptr, .bytes = bytes});
}

void CudaBackend::copy_from_staging(ConstTensorView source, TensorView destination) {
    contracts::copy(source, destination);
    if (source.size() == 0) return;
    require_no_recording(stream_.get());
    if (source.contiguous() && destination.contiguous()) {
        check_cuda(cudaMemcpyAsync(destination.data, source.data, source.bytes(),
                                   cudaMemcpyHostToDevice, stream_.get()),
                   "cudaMemcpyAsync");
        return;
    }
    std::size_t const width = size_of(source.dtype);
    check_cuda(cudaMemcpy2DAsync(destination.data, destination.stride * width, source.data,
                                 source.stride * width, source.cols * width, source.rows,
                                 cudaMemcpyHostToDevice, stream_.get()),
               "cudaMemcpy2DAsync");
}

void CudaBackend::copy_to_host(std::byte const* source, std::span<std::byte> destination) {
    if (destination.empty()) return;
    require_no_recording(stream_.get());
    memory_->download.copy(source, destination, stream_.get(), memory_->watch);
}

void CudaBackend::synchronize() {
    require_no_recording(stream_.get());
    memory_->watch.wait_for(stream_.get());
}

void CudaBackend::set_watch(std::function<void(double)> const& watch) { memory_->watch.set(watch); }

}  // namespace tesserank::kernels::cuda
