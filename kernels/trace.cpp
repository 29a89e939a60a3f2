#include "kernels/trace.hpp"

#include "kernels/phase.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <exception>
#include <utility>

namespace tesserank::kernels {
namespace {

constexpr std::size_t levels = 2;
constexpr std::size_t longest_kept_name = 64;

struct Names {
    std::array<char const*, levels> now{"", ""};
    /// Of ranges that an exception has ended: what held their names may end as well.
    std::array<std::array<char, longest_kept_name>, levels> kept{};

    void keep(std::size_t level) noexcept {
        auto& copy = kept[level];
        if (now[level] == copy.data()) return;  // that of an inner range
        std::strncpy(copy.data(), now[level], copy.size() - 1);
        now[level] = copy.data();
    }
};

Names& names() noexcept {
    thread_local Names of_this_thread;
    return of_this_thread;
}

}  // namespace

TraceRange::TraceRange(char const* name, Level level) noexcept
    : previous_{std::exchange(names().now[static_cast<std::size_t>(level)], name)},
      level_{level},
      exceptions_{std::uncaught_exceptions()} {
    note_progress();
    detail::begin_profiler_range(name);
}

TraceRange::~TraceRange() {
    detail::end_profiler_range();
    auto const level = static_cast<std::size_t>(level_);
    if (std::uncaught_exceptions() > exceptions_) {
        names().keep(level);
    } else {
        names().now[level] = previous_;
    }
}

char const* TraceRange::current(Level level) noexcept {
    return names().now[static_cast<std::size_t>(level)];
}

}  // namespace tesserank::kernels
