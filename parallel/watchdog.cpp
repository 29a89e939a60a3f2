#include "parallel/watchdog.hpp"

#include "kernels/phase.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/side_channel.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace tesserank::parallel {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/// A rank that lives answers within milliseconds.
constexpr double answer_seconds = 1.5;
/// A thread that should wake up wakes up sooner than this late, however busy the cores are.
constexpr double overslept = 1.0;  // seconds

/// How long this process has given no sign of progress, as seen by a thread that looks at times.
class StillClock {
  public:
    void look() {
        auto const now = kernels::progress();
        bool const moves = now != last_ || kernels::Phase::pace() == kernels::Phase::Pace::open;
        last_ = now;
        if (moves) since_ = Clock::now();
    }
    /// As if there had been progress just now.
    void restart() { since_ = Clock::now(); }
    double seconds() const { return Seconds(Clock::now() - since_.load()).count(); }

  private:
    std::uint64_t last_ = 0;
    std::atomic<Clock::time_point> since_{Clock::now()};
};

/// Gives the system's words for what went wrong, if anything did.
std::optional<std::string> write_file(std::string const& path, std::string const& text) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"),
                                                         std::fclose);
    bool const written = file && std::fputs(text.c_str(), file.get()) >= 0;
    if (written && std::fclose(file.release()) == 0) return std::nullopt;
    return std::strerror(errno);
}

/// Not through stdio: the main thread may have stopped while it held its lock.
void print(std::string const& line) {
    auto const text = line + "\n";
    static_cast<void>(::write(STDERR_FILENO, text.data(), text.size()));
}

}  // namespace

class Watchdog::Thread {
  public:
    Thread(MpiCommunicator& ranks, WatchdogOptions options)
        : options_{std::move(options)},
          interval_{std::clamp(options_.seconds / 20.0, 0.02, 1.0)},
          rank_{ranks.rank()},
          ring_{*ranks.ring()},
          host_{host_name()},
          channel_{ranks, [this](SideChannel::Question question) { return answer(question); }},
          thread_{[this](std::stop_token const& stop) { watch(stop); }} {}

  private:
    RankReport report() const {
        RankReport mine;
        mine.rank = rank_;
        mine.host = host_;
        mine.phase.set(kernels::Phase::current());
        mine.seconds_still = clock_.seconds();
        mine.calls = ring_.snapshot();
        return mine;
    }

    RankReport answer(SideChannel::Question question) {
        if (question == SideChannel::Question::alarm) alarmed_ = true;
        return report();
    }

    void watch(std::stop_token const& stop) {
        std::unique_lock lock(mutex_);
        while (true) {
            auto const asleep = Clock::now();
            if (wake_.wait_for(lock, stop, Seconds(interval_),
                               [&] { return stop.stop_requested(); }))
                return;
            // All of the process was stopped meanwhile, as Slurm suspends a job: that time was
            // nobody's. A rank that wakes up only to be killed has nothing to tell either.
            if (Seconds(Clock::now() - asleep).count() > interval_ + overslept) clock_.restart();
            clock_.look();
            bool const waits_too_long = clock_.seconds() > options_.seconds &&
                                        ring_.state() != CollectiveRing::State::outside;
            if (alarmed_.exchange(false) || waits_too_long) look_at_all();
        }
    }

    /// The lowest rank that answers does this, and the others tell it to.
    void look_at_all() {
        for (int lower = 0; lower < rank_; ++lower) {
            auto const asked =
                channel_.ask({&lower, 1}, SideChannel::Question::alarm, answer_seconds);
            if (asked[static_cast<std::size_t>(lower)]) return;
        }
        // Lower ranks have had their chance.
        Stall stall{options_.seconds, channel_.hosts(), {}};
        std::vector<int> higher(stall.hosts.size() - static_cast<std::size_t>(rank_) - 1);
        std::iota(higher.begin(), higher.end(), rank_ + 1);
        stall.reports = channel_.ask(higher, SideChannel::Question::report, answer_seconds);
        stall.reports[static_cast<std::size_t>(rank_)] = report();
        ask_again(stall.reports);
        // A rank sees that it has moved on up to an interval later.
        double const enough = options_.seconds - 2.0 * interval_;
        auto const moves = [&](auto const& report) {
            return report && report->seconds_still < enough;
        };
        if (!std::ranges::any_of(stall.reports, moves)) end(stall);
    }

    /// One answer may come late where cores or the network are busy, from a rank that moves.
    void ask_again(std::vector<std::optional<RankReport>>& reports) const {
        std::vector<int> silent;
        for (std::size_t rank = 0; rank < reports.size(); ++rank) {
            if (!reports[rank]) silent.push_back(static_cast<int>(rank));
        }
        auto const again = channel_.ask(silent, SideChannel::Question::report, answer_seconds);
        for (auto const rank : silent) {
            auto const index = static_cast<std::size_t>(rank);
            reports[index] = again[index];
        }
    }

    [[noreturn]] void end(Stall const& stall) const {
        // Where the file system is what hangs, writing to it hangs as well.
        MpiSession::exit_after(std::chrono::seconds(5), options_.exit_status);
        print("tesserank: " + describe(stall));
        auto const error = write_file(options_.log_path, rings_text(stall));
        print("  The last collectives of each rank: " + options_.log_path + " on " +
              std::string(host_.view()) + (error ? " cannot be written: " + *error : ""));
        MpiSession::abort_from_thread(options_.exit_status);
    }

    WatchdogOptions options_;
    double interval_;  ///< seconds between two looks
    int rank_;
    CollectiveRing const& ring_;
    HostName host_;
    StillClock clock_;
    std::atomic<bool> alarmed_ = false;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    SideChannel channel_;
    std::jthread thread_;  ///< last: it uses the others
};

Watchdog::Watchdog(MpiCommunicator& ranks, WatchdogOptions options) {
    if (ranks.size() == 1 || options.seconds <= 0.0) return;
    thread_ = std::make_unique<Thread>(ranks, std::move(options));
}

Watchdog::~Watchdog() = default;

}  // namespace tesserank::parallel
