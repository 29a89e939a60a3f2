#pragma once

#include <cstdint>

namespace tesserank::kernels {

/// Names what this thread runs while it lives: for NVIDIA's profilers (costs nothing without one),
/// and for messages about what went wrong in it.
class TraceRange {
  public:
    enum class Level : std::uint8_t {
        module,  ///< "layers.3.mlp"
        layout,  ///< "Partial -> Replicated"
    };

    /// `name` outlives the range. An exception that ends the range leaves its name in place, so
    /// that who catches it can tell where it came from; the next range replaces it.
    explicit TraceRange(char const* name, Level level = Level::module) noexcept;
    ~TraceRange();
    TraceRange(TraceRange const&) = delete;
    TraceRange& operator=(TraceRange const&) = delete;

    /// The innermost range of this thread on that level; "" outside of all.
    static char const* current(Level level = Level::module) noexcept;

  private:
    char const* previous_;
    Level level_;
    int exceptions_;  ///< in flight at construction
};

namespace detail {

/// For profilers; does nothing in a build without CUDA.
void begin_profiler_range(char const* name) noexcept;
void end_profiler_range() noexcept;

}  // namespace detail
}  // namespace tesserank::kernels
