#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace tesserank::app {

using SteadyTime = std::chrono::steady_clock::time_point;

/// "90s", "15m", "2h", or as Slurm writes it: "HH:MM:SS", "D-HH:MM:SS". nullopt for anything else,
/// a bare number too: Slurm takes one for minutes, most other programs for seconds.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

/// When a run that starts now has to be over: after `limit`, or when SLURM_JOB_END_TIME says that
/// the job ends, whatever is earlier. Errors: none; a value of Slurm's that is no time is passed
/// over.
std::optional<SteadyTime> end_of_time(std::optional<std::chrono::seconds> limit);

}  // namespace tesserank::app
