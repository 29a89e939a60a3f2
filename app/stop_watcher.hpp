#pragma once

#include "app/time_limit.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tesserank::app {

/// How a run may be asked to end before its input does.
struct StopTerms {
    std::optional<SteadyTime> end = {};       ///< of its time
    std::chrono::milliseconds grace{25'000};  ///< that a signal leaves: Slurm kills after 30 s
    /// One request to stop may come on several ways: what follows sooner is the same signal.
    std::chrono::milliseconds apart{2'000};
    std::chrono::milliseconds margin{5'000};  ///< kept free before `end` for writing
};

/// Watches for what ends a run early: SIGTERM, SIGINT or SIGUSR1, and the end of its time. Between
/// two batches the run asks should_stop(). Within a batch, or while the model is loaded, a thread
/// decides: a batch that will be over in time is let run, another is dropped by ending the job then
/// and there, which loses nothing that is in the journal. A second signal ends the job at once.
/// One at a time in a process, made and destroyed by the thread that computes.
class StopWatcher {
  public:
    /// `end_now` is called in another thread, once, with the reason; it does not return. Without
    /// `decides` (on all ranks but one) only a second signal leads to it.
    StopWatcher(StopTerms terms, bool decides, std::function<void(std::string const&)> end_now);
    ~StopWatcher();
    StopWatcher(StopWatcher const&) = delete;
    StopWatcher& operator=(StopWatcher const&) = delete;

    /// Why no further batch is to be begun: a signal, or a batch as long as the longest so far
    /// would not be over in time.
    std::optional<std::string> should_stop();
    void loaded();
    void batch_begins();
    void batch_ended();
    /// Readable, for poll(), once should_stop() gives a reason between two batches: who waits then
    /// for something else is to wait no longer.
    int stop_descriptor() const { return stop_descriptor_; }

  private:
    enum class Phase : std::uint8_t { loading, between, in_batch };
    using Clock = std::chrono::steady_clock;

    void watch();
    void wait_for_signal(std::optional<SteadyTime> until);
    std::optional<std::string> reason_to_stop() const;
    /// Between two batches; gives when to look again.
    std::optional<SteadyTime> tell_who_waits();
    /// When a batch that runs has to be dropped, if it has.
    std::optional<SteadyTime> time_to_drop() const;
    std::optional<SteadyTime> end_of_run() const;

    StopTerms terms_;
    bool decides_;
    std::function<void(std::string const&)> end_now_;
    std::mutex mutex_;  ///< guards what follows
    Phase phase_ = Phase::loading;
    SteadyTime batch_start_;
    Clock::duration longest_batch_{0};
    int signals_ = 0;
    std::string signal_name_;
    SteadyTime signal_time_;
    bool over_ = false;
    /// Of the signal handlers in the thread that computes; empty where it has one already.
    std::vector<std::byte> handlers_stack_;
    int stop_descriptor_ = -1;
    bool told_ = false;  ///< stop_descriptor_ is readable
    std::thread thread_;
};

}  // namespace tesserank::app
