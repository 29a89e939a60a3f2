#pragma once

#include "app/load_line.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>

namespace tesserank::app {

/// What a run tells on stderr, on rank 0: a summary line for people and a progress line on a
/// terminal, or, with --log-json, one JSON object per event; nothing with --quiet or on other
/// ranks.
class RunLog {
  public:
    enum class Style : unsigned char { silent, people, json };

    explicit RunLog(Style style);

    void planned(std::string_view summary);
    void loaded(std::string_view summary, LoadSummary const& load);
    /// Where an earlier run has stopped.
    void resumed(std::string_view remark);
    void batch_done(std::size_t requests, std::size_t tokens);
    /// Before the input's end.
    void stopped(std::string_view reason, std::size_t results, bool goes_on);
    void finished(std::size_t results, std::size_t errors);

  private:
    using Clock = std::chrono::steady_clock;
    double seconds_since(Clock::time_point start) const;

    Style style_;
    bool terminal_;
    Clock::time_point start_ = Clock::now(), loaded_ = start_;
    std::size_t requests_ = 0, tokens_ = 0, batches_ = 0;
};

}  // namespace tesserank::app
