#pragma once

namespace tesserank::kernels {

/// Names what is queued while it lives, for NVIDIA's profilers; costs nothing without one, and does
/// nothing in a build without CUDA.
class TraceRange {
  public:
    explicit TraceRange(char const* name) noexcept;
    ~TraceRange() { end(); }
    TraceRange(TraceRange const&) = delete;
    TraceRange& operator=(TraceRange const&) = delete;

  private:
    static void end() noexcept;
};

}  // namespace tesserank::kernels
