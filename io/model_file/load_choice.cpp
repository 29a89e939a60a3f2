#include "io/model_file/load_choice.hpp"

#include <algorithm>

namespace tesserank::io {
namespace {

/// 0 where nothing was measured: another rank's estimate counts then.
double seconds_for(std::size_t bytes, std::size_t measured_bytes, double measured_seconds) {
    if (measured_bytes == 0) return 0.0;
    return static_cast<double>(bytes) * measured_seconds / static_cast<double>(measured_bytes);
}

}  // namespace

LoadEstimate estimate_load(LoadMeasure const& measure) {
    auto const read = [&](std::size_t bytes) {
        return seconds_for(bytes, measure.bytes_read, measure.read_seconds);
    };
    auto const exchange =
        seconds_for(measure.left_exchanged, measure.bytes_exchanged, measure.exchange_seconds);
    return {.cooperative_seconds = std::max(read(measure.left_read), exchange),
            .direct_seconds = read(measure.left_direct)};
}

}  // namespace tesserank::io
