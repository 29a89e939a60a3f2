#include "app/time_limit.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>

namespace tesserank::app {
namespace {

/// A whole number of at most nine digits; nullopt for anything else.
std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    auto const* const end = text.data() + text.size();
    bool const digits = !text.empty() && text.size() <= 9 &&
                        std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::from_chars(text.data(), end, value).ptr != end) return std::nullopt;
    return value;
}

/// "HH:MM:SS"
std::optional<std::int64_t> clock_seconds(std::string_view text) {
    std::int64_t seconds = 0;
    for (int part = 0; part < 3; ++part) {
        auto const colon = text.find(':');
        bool const last = part == 2;
        auto const value = number(text.substr(0, colon));
        if (!value || last != (colon == std::string_view::npos)) return std::nullopt;
        seconds = 60 * seconds + *value;
        if (!last) text.remove_prefix(colon + 1);
    }
    return seconds;
}

std::optional<std::int64_t> seconds_in(std::string_view text) {
    if (auto const dash = text.find('-'); dash != std::string_view::npos) {
        auto const days = number(text.substr(0, dash));
        auto const rest = clock_seconds(text.substr(dash + 1));
        if (!days || !rest) return std::nullopt;
        constexpr std::int64_t day = 24LL * 3600;
        return day * *days + *rest;
    }
    if (text.find(':') != std::string_view::npos) return clock_seconds(text);
    if (text.empty()) return std::nullopt;
    std::int64_t const unit = text.back() == 's'   ? 1
                              : text.back() == 'm' ? 60
                              : text.back() == 'h' ? 3600
                                                   : 0;
    auto const count = number(text.substr(0, text.size() - 1));
    if (unit == 0 || !count) return std::nullopt;
    return unit * *count;
}

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
    auto const seconds = seconds_in(text);
    return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
}

std::optional<SteadyTime> end_of_time(std::optional<std::chrono::seconds> limit) {
    auto const now = std::chrono::steady_clock::now();
    std::optional<SteadyTime> end;
    if (limit) end = now + *limit;
    char const* const slurm = std::getenv("SLURM_JOB_END_TIME");
    std::int64_t job_end = 0;
    if (slurm == nullptr) return end;
    std::string_view const text(slurm);
    auto const read = std::from_chars(text.data(), text.data() + text.size(), job_end);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || job_end <= 0) return end;
    auto const left =
        std::chrono::seconds(job_end) - std::chrono::duration_cast<std::chrono::seconds>(
                                            std::chrono::system_clock::now().time_since_epoch());
    // No job lasts longer; a clock that is wrong by more than its job lasts says nothing.
    constexpr std::chrono::hours most(24 * 366);
    if (left <= std::chrono::seconds(0) || left > most) return end;
    return end ? std::min(*end, now + left) : now + left;
}

}  // namespace tesserank::app
