#include "app/stop_watcher.hpp"

#include "kernels/error.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace tesserank::app {
namespace {

struct StopSignal {
    int number;
    char const* name;
};
constexpr std::array stop_signals{StopSignal{SIGTERM, "SIGTERM"}, StopSignal{SIGINT, "SIGINT"},
                                  StopSignal{SIGUSR1, "SIGUSR1"}};

// What a signal handler may touch: where the watching thread waits, and what came last.
std::atomic<int> wake_descriptor{-1};
std::atomic<int> last_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void wake() {
    std::uint64_t const one = 1;
    // Only a counter that is full refuses, and then the thread wakes anyway.
    static_cast<void>(!write(wake_descriptor.load(), &one, sizeof(one)));
}

int open_event() {
    int const descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor >= 0) return descriptor;
    throw kernels::SystemError(std::string("eventfd: ") + std::strerror(errno));
}

void on_signal(int number) {
    int const saved = errno;
    last_signal.store(number);
    wake();
    errno = saved;
}

/// oneDNN's matrix products keep data below the stack pointer (2.6 does), where the frame of a
/// handler would overwrite it: handlers get a stack of their own.
std::vector<std::byte> give_handlers_a_stack() {
    constexpr std::size_t bytes = std::size_t{64} << 10;
    stack_t stack{};
    if (sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0) return {};
    std::vector<std::byte> memory(bytes);
    stack = {.ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
    if (sigaltstack(&stack, nullptr) == 0) return memory;
    throw kernels::SystemError(std::string("sigaltstack: ") + std::strerror(errno));
}

void take_handlers_stack() {
    stack_t const none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    static_cast<void>(sigaltstack(&none, nullptr));
}

void handle_signals(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    for (auto const& signal : stop_signals) sigaction(signal.number, &action, nullptr);
}

char const* name_of(int number) {
    auto const found = std::ranges::find(stop_signals, number, &StopSignal::number);
    return found == stop_signals.end() ? "a signal" : found->name;
}

}  // namespace

StopWatcher::StopWatcher(StopTerms terms, bool decides,
                         std::function<void(std::string const&)> end_now)
    : terms_{terms}, decides_{decides}, end_now_{std::move(end_now)} {
    kernels::require(wake_descriptor.exchange(open_event()) == -1, "two StopWatchers at a time");
    stop_descriptor_ = open_event();
    handlers_stack_ = give_handlers_a_stack();
    handle_signals(on_signal);
    thread_ = std::thread([this] { watch(); });
}

StopWatcher::~StopWatcher() {
    {
        std::scoped_lock const lock(mutex_);
        over_ = true;
    }
    wake();
    thread_.join();
    handle_signals(SIG_DFL);
    if (!handlers_stack_.empty()) take_handlers_stack();
    static_cast<void>(close(wake_descriptor.exchange(-1)));
    static_cast<void>(close(stop_descriptor_));
}

void StopWatcher::watch() {
    while (true) {
        std::optional<SteadyTime> until;
        std::string reason;
        {
            std::scoped_lock const lock(mutex_);
            if (over_) return;
            if (signals_ > 1) reason = "a second " + signal_name_;
            if (phase_ == Phase::between) {
                until = tell_who_waits();
            } else if (decides_) {
                until = time_to_drop();
                bool const over = until && *until <= Clock::now();
                if (over) reason = signals_ > 0 ? signal_name_ : "the end of its time";
            }
        }
        if (!reason.empty()) {
            end_now_(reason);
            return;
        }
        wait_for_signal(until);
    }
}

void StopWatcher::wait_for_signal(std::optional<SteadyTime> until) {
    pollfd descriptor{.fd = wake_descriptor.load(), .events = POLLIN, .revents = 0};
    int timeout = -1;
    if (until) {
        constexpr std::chrono::milliseconds most(std::chrono::hours(1));
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
        timeout = static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
    }
    if (poll(&descriptor, 1, timeout) <= 0) return;
    std::uint64_t count = 0;
    if (read(descriptor.fd, &count, sizeof(count)) != sizeof(count)) return;
    int const number = last_signal.exchange(0);
    if (number == 0) return;
    std::scoped_lock const lock(mutex_);
    auto const now = Clock::now();
    if (signals_ > 0 && now - signal_time_ < terms_.apart) return;
    if (signals_ == 0) signal_time_ = now;
    signal_name_ = name_of(number);
    ++signals_;
}

std::optional<SteadyTime> StopWatcher::end_of_run() const {
    auto end = terms_.end ? std::optional(*terms_.end - terms_.margin) : std::nullopt;
    if (signals_ == 0) return end;
    auto const after_signal = signal_time_ + terms_.grace;
    return end ? std::min(*end, after_signal) : after_signal;
}

std::optional<SteadyTime> StopWatcher::time_to_drop() const {
    auto const end = end_of_run();
    if (!end) return std::nullopt;
    if (signals_ == 0) return end;
    // Loading leads to no result in time; a batch does if it is no longer than others were.
    if (phase_ == Phase::loading || batch_start_ + longest_batch_ > *end) return signal_time_;
    return end;
}

std::optional<std::string> StopWatcher::reason_to_stop() const {
    if (signals_ > 0) return signal_name_;
    auto const end = end_of_run();
    if (end && Clock::now() + longest_batch_ > *end) return "the end of its time";
    return std::nullopt;
}

std::optional<SteadyTime> StopWatcher::tell_who_waits() {
    if (told_) return std::nullopt;
    if (reason_to_stop()) {
        told_ = eventfd_write(stop_descriptor_, 1) == 0;
        return std::nullopt;
    }
    auto const end = end_of_run();
    return end ? std::optional(*end - longest_batch_) : std::nullopt;
}

std::optional<std::string> StopWatcher::should_stop() {
    std::scoped_lock const lock(mutex_);
    return reason_to_stop();
}

void StopWatcher::loaded() {
    {
        std::scoped_lock const lock(mutex_);
        phase_ = Phase::between;
    }
    wake();
}

void StopWatcher::batch_begins() {
    {
        std::scoped_lock const lock(mutex_);
        phase_ = Phase::in_batch;
        batch_start_ = Clock::now();
    }
    wake();
}

void StopWatcher::batch_ended() {
    {
        std::scoped_lock const lock(mutex_);
        phase_ = Phase::between;
        longest_batch_ = std::max(longest_batch_, Clock::now() - batch_start_);
    }
    wake();
}

}  // namespace tesserank::app
