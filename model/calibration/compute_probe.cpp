#include "model/calibration/compute_probe.hpp"

#include <algorithm>

namespace tesserank::model::calibration {
namespace {

/// Long against the clock and against the time in which ranks leave a barrier.
constexpr double sample_seconds = 5e-4;
constexpr std::size_t most_runs = 500;
constexpr std::size_t most_samples = 3;  ///< in one round

}  // namespace

double undisturbed(std::vector<double> samples) {
    auto const quarter = samples.begin() + static_cast<std::ptrdiff_t>((samples.size() - 1) / 4);
    std::ranges::nth_element(samples, quarter);
    return *quarter;
}

double ComputeProbe::time(Bench& bench) {
    auto const seconds = bench.seconds_of(busy_, [&] {
        for (std::size_t i = 0; i < runs_; ++i) run(bench);
    });
    return seconds / static_cast<double>(runs_);
}

/// From one row on up, as far as the limit allows. Each size runs once before it is timed: the
/// first run of a size may have to compile its kernel.
void ComputeProbe::choose_size(Bench& bench, double limit_seconds) {
    for (std::size_t rows = 1;;) {
        prepare(bench, rows);
        time(bench);
        double const seconds = std::min(time(bench), time(bench));
        auto const room = static_cast<std::size_t>(std::clamp(limit_seconds / seconds, 1.0, 1e6));
        if (rows == rows_ || room < 2) {
            rows_ = rows;
            runs_ = std::clamp<std::size_t>(static_cast<std::size_t>(sample_seconds / seconds), 1,
                                            most_runs);
            return;
        }
        rows = std::min(rows_, rows * room);
    }
}

void ComputeProbe::measure(Bench& bench, double limit_seconds) {
    if (!measured()) {
        choose_size(bench, limit_seconds);
    } else {
        // Other probes have used the same memory since.
        prepare(bench, rows_);
    }
    double left = limit_seconds;
    for (std::size_t i = 0; i < most_samples && left > 0; ++i) {
        samples_.push_back(time(bench));
        left -= samples_.back() * static_cast<double>(runs_);
    }
}

}  // namespace tesserank::model::calibration
