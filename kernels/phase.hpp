#pragma once

#include <cstdint>

namespace tesserank::kernels {

/// Says what the process is busy with while it lives, for messages about a rank that fails or that
/// others wait for. For the main thread; any other may ask.
class Phase {
  public:
    enum class Pace : std::uint8_t {
        steady,  ///< note_progress() comes again and again
        open,    ///< may last for as long as it likes: somebody outside is waited for
    };

    /// `name` is a literal. An exception that ends the phase leaves its name in place, so that who
    /// catches it can tell where it came from; the next phase replaces it.
    explicit Phase(char const* name, Pace pace = Pace::steady) noexcept;
    ~Phase();
    Phase(Phase const&) = delete;
    Phase& operator=(Phase const&) = delete;

    /// The innermost; "" before the first.
    static char const* current() noexcept;
    static Pace pace() noexcept;

  private:
    char const* previous_;
    Pace previous_pace_;
    int exceptions_;  ///< in flight at construction
};

/// A sign of life, cheap enough for every block that is read or line that is taken.
void note_progress() noexcept;
/// How many there have been, of all threads.
std::uint64_t progress() noexcept;

}  // namespace tesserank::kernels
