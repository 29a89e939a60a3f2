#pragma once

#include "io/model_file/load_report.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace tesserank::app {

/// What loading has cost the whole job.
struct LoadSummary {
    std::vector<io::LoadReport> by_rank;
    std::size_t weight_bytes = 0;  ///< of the model

    std::size_t bytes_read() const;
};

/// One line for people: "1.6 MiB read (0.8 MiB by each rank), 0.9 MiB sent (0.4 to 0.5 MiB by each
/// rank); open 0.01 s, read 0.02 s, exchange 0.01 s, place 0.01 s". Seconds are the slowest rank's.
std::string load_line(LoadSummary const& summary);

/// The same for programs, with every rank: a JSON object.
std::string load_json(LoadSummary const& summary);

}  // namespace tesserank::app
