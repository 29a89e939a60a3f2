#include "app/progress.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <utility>

namespace tesserank::app {
namespace {

constexpr auto interval = std::chrono::milliseconds(100);

}  // namespace

Progress::Progress(std::string label, Verbosity verbosity)
    : label_(std::move(label)),
      shown_{verbosity == Verbosity::normal && isatty(STDERR_FILENO) == 1} {}

Progress::~Progress() {
    if (shown_) std::fputs("\r\033[K", stderr);
}

bool Progress::is_due() {
    auto const now = Clock::now();
    if (!shown_ || now < next_) return false;
    next_ = now + interval;
    return true;
}

void Progress::update(double share_done) {
    if (!is_due()) return;
    std::fprintf(stderr, "\r\033[K%s: %.0f %%", label_.c_str(), 100.0 * share_done);
}

void Progress::update(std::size_t bytes_done, std::size_t bytes_total) {
    if (!is_due()) return;
    auto const percent = bytes_total == 0 ? 100.0
                                          : 100.0 * static_cast<double>(bytes_done) /
                                                static_cast<double>(bytes_total);
    auto const speed = static_cast<double>(bytes_done) / 1e6 / seconds();
    std::fprintf(stderr, "\r\033[K%s: %.0f %% of %s, %.0f MB/s", label_.c_str(), percent,
                 megabytes(bytes_total).c_str(), speed);
}

void Progress::show(std::string const& state) {
    if (shown_) std::fprintf(stderr, "\r\033[K%s: %s", label_.c_str(), state.c_str());
}

double Progress::seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string megabytes(std::size_t bytes) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f MB", static_cast<double>(bytes) / 1e6);
    return text.data();
}

}  // namespace tesserank::app
