#pragma once

#include <cstddef>
#include <functional>

namespace tesserank::io {

/// Calls work(0) .. work(count - 1), each once, in any order, on as many threads as this process
/// may use cores, eight at most. Errors: the first one that a call threw, after all have ended.
void run_on_threads(std::size_t count, std::function<void(std::size_t)> const& work);

}  // namespace tesserank::io
