#pragma once

#include <chrono>

namespace tesserank::io {

/// Runs `work` and returns the seconds that it took.
template <class Work>
double seconds_of(Work const& work) {
    auto const start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace tesserank::io
