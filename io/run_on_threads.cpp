#include "io/run_on_threads.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tesserank::io {
namespace {

/// Cores that this process may run on: a launcher may have bound it to some.
std::size_t usable_cores() {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    if (::sched_getaffinity(0, sizeof mine, &mine) != 0) return 1;
    return static_cast<std::size_t>(std::max(CPU_COUNT(&mine), 1));
}

}  // namespace

void run_on_threads(std::size_t count, std::function<void(std::size_t)> const& work) {
    constexpr std::size_t most_threads = 8;
    std::atomic<std::size_t> next = 0;
    std::exception_ptr error;
    std::mutex error_mutex;
    auto const take_turns = [&] {
        for (std::size_t i = next++; i < count; i = next++) {
            try {
                work(i);
            } catch (...) {
                std::scoped_lock const lock(error_mutex);
                if (!error) error = std::current_exception();
            }
        }
    };
    {
        std::size_t const threads = std::min({count, most_threads, usable_cores()});
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < threads; ++i) others.emplace_back(take_turns);
        take_turns();
    }
    if (error) std::rethrow_exception(error);
}

}  // namespace tesserank::io
