#pragma once

#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/pinned_memory.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/cuda/watch.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

namespace tesserank::kernels::cuda {

/// Pinned memory through which a copy passes, and when the copies from or to it have run.
struct StagingPiece {
    static constexpr std::size_t capacity = std::size_t{4} << 20U;

    PinnedMemory memory = make_pinned_memory(capacity);
    Event copied = make_event();
};

/// Takes host spans on their way to the device, so that the caller may reuse them at once. Small
/// ones share a piece; the host waits only when the device is all pieces behind.
class UploadRing {
  public:
    void copy(std::span<std::byte const> source, std::byte* destination, cudaStream_t stream,
              Watch const& watch);

  private:
    void next_piece(cudaStream_t stream, Watch const& watch);

    std::array<StagingPiece, 4> pieces_;
    std::size_t piece_ = 0, used_ = 0;
};

/// Brings device memory to host spans: one piece is copied out while the next one arrives.
class Download {
  public:
    void copy(std::byte const* source, std::span<std::byte> destination, cudaStream_t stream,
              Watch const& watch);

  private:
    std::array<StagingPiece, 2> pieces_;
};

/// Memory for what operations need between their kernels. It is given out in a ring: what is queued
/// on one stream runs in order, so a later operation may write where an earlier one has read. Twice
/// as large as what one operation may take, so that all its pieces differ wherever the ring wraps.
class ScratchRing {
  public:
    static constexpr std::size_t capacity = 2 * CudaBackend::scratch_capacity;
    static constexpr std::size_t alignment = 256;

    explicit ScratchRing(Buffer memory) : memory_{std::move(memory)} {}
    std::byte* take(std::size_t bytes);

  private:
    Buffer memory_;
    std::size_t used_ = 0;
};

struct CudaBackend::Memory {
    ScratchRing scratch;
    UploadRing uploads{};
    Download download{};
    Watch watch{};
};

}  // namespace tesserank::kernels::cuda
