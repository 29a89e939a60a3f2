#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace tesserank::app {

enum class Verbosity : unsigned char { quiet, normal };

/// One line on a terminal's stderr that says how far some work has come; silent where stderr is
/// no terminal.
class Progress {
  public:
    Progress(std::string label, Verbosity verbosity);
    /// Leaves the terminal's cursor at the start of an empty line.
    ~Progress();
    Progress(Progress const&) = delete;
    Progress& operator=(Progress const&) = delete;

    void update(std::size_t bytes_done, std::size_t bytes_total);
    /// The same for something else than bytes: which share is done, 0 to 1.
    void update(double share_done);
    /// "label: state", whatever is counted.
    void show(std::string const& state);
    double seconds() const;

  private:
    using Clock = std::chrono::steady_clock;
    /// Whether to print now: not too often, and not where nobody looks.
    bool is_due();
    std::string label_;
    bool shown_;
    Clock::time_point start_ = Clock::now(), next_ = start_;
};

/// "12.3 MB"; MB = 1e6 bytes.
std::string megabytes(std::size_t bytes);

}  // namespace tesserank::app
