#pragma once

#include "model/calibration/bench.hpp"
#include "model/machine.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace tesserank::model::calibration {

/// Something that is measured in rounds.
class Probe {
  public:
    virtual ~Probe() = default;
    /// Takes some samples; the first time also finds out how. No sample is to take much longer than
    /// `limit_seconds`. Collective.
    virtual void measure(Bench& bench, double limit_seconds) = 0;
    /// Adds what was measured; nothing before the first sample.
    virtual void add_to(MachinePoints& points) const = 0;
};

/// The first quartile of at least one sample: other programs on the machine only ever add to a
/// time, and may do so to every second sample.
double undisturbed(std::vector<double> samples);

std::unique_ptr<Probe> make_gemm_probe(Task<GemmWork> const& task);
std::unique_ptr<Probe> make_attention_probe(Task<AttentionWork> const& task);
std::unique_ptr<Probe> make_pass_probe(Task<PassWork> const& task);
/// Every collective, of each of these sizes; one probe for each size.
std::vector<std::unique_ptr<Probe>> make_message_probes(std::vector<std::size_t> bytes);

}  // namespace tesserank::model::calibration
