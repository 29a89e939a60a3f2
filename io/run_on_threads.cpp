#include "io/run_on_threads.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tesserank::io {

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
        std::size_t const threads = std::min(
            {count, most_threads, std::max<std::size_t>(1, std::thread::hardware_concurrency())});
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < threads; ++i) others.emplace_back(take_turns);
        take_turns();
    }
    if (error) std::rethrow_exception(error);
}

}  // namespace tesserank::io
