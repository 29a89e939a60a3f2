#pragma once

#include "kernels/backend.hpp"
#include "model/machine.hpp"
#include "parallel/communicator.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace tesserank::model {

/// What to measure; the same on all ranks.
struct CalibrationRequest {
    std::vector<Task<GemmWork>> gemms;
    std::vector<Task<AttentionWork>> attentions;
    std::vector<Task<PassWork>> passes;
    std::vector<std::size_t> message_bytes;  ///< of every collective
    double seconds = 0;                      ///< what the measurements may take, about
    /// Memory from which each rank reads weights, keys and values in turn. Beyond the caches, as in
    /// a model that is larger than they are.
    std::size_t cold_bytes = std::size_t{256} << 20;
};

/// Told now and then which share is done, 0 to 1.
using CalibrationProgress = std::function<void(double)>;

/// Measures what work costs on these ranks, all of them at work at the same time, or rank 0 alone
/// while the others wait. The same machine on every rank: each figure is the slowest rank's, and
/// the first quartile of several rounds over everything. What would take too long is measured with
/// fewer rows, or for collectives not with the largest messages: there the lookups of Machine
/// extrapolate. Collective.
///
/// A collective's figure is what it adds to a pass, not what it takes when ranks do nothing else:
/// ranks arrive at different times, and with cold caches. Hence pieces of work with a collective
/// behind each are timed against the same pieces without.
Machine calibrate(kernels::Backend& backend, parallel::Communicator& ranks,
                  CalibrationRequest const& request, CalibrationProgress const& progress = {});

}  // namespace tesserank::model
