#include "kernels/phase.hpp"

#include <atomic>
#include <exception>

namespace tesserank::kernels {
namespace {

std::atomic<char const*> name_now{""};
std::atomic<Phase::Pace> pace_now{Phase::Pace::steady};
std::atomic<std::uint64_t> signs_of_life{0};

}  // namespace

Phase::Phase(char const* name, Pace pace) noexcept
    : previous_{name_now.exchange(name)},
      previous_pace_{pace_now.exchange(pace)},
      exceptions_{std::uncaught_exceptions()} {
    note_progress();
}

Phase::~Phase() {
    pace_now = previous_pace_;
    if (std::uncaught_exceptions() == exceptions_) name_now = previous_;
    note_progress();
}

char const* Phase::current() noexcept { return name_now; }
Phase::Pace Phase::pace() noexcept { return pace_now; }

void note_progress() noexcept { signs_of_life.fetch_add(1, std::memory_order_relaxed); }
std::uint64_t progress() noexcept { return signs_of_life.load(std::memory_order_relaxed); }

}  // namespace tesserank::kernels
