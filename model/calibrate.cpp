#include "model/calibrate.hpp"

#include "kernels/error.hpp"
#include "model/calibration/probe.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace tesserank::model {
namespace {

using calibration::Bench;
using calibration::Probe;
using Probes = std::vector<std::unique_ptr<Probe>>;

constexpr std::size_t most_rounds = 15;

/// Of all the time, what one sample of every probe may take.
constexpr double share_of_samples = 0.25;

double multiplications(Task<GemmWork> const& task) {
    return static_cast<double>(task.work.rows) * static_cast<double>(task.work.outputs) *
           static_cast<double>(task.work.inputs);
}

/// Of every kind of work in turn, the smallest GEMMs first: when the time does not suffice for one
/// round, something is known of each, and the largest GEMMs are left to extrapolation.
Probes make_probes(CalibrationRequest const& request, int ranks) {
    std::array<Probes, 4> kinds;
    auto& [messages, passes, attentions, gemms] = kinds;
    if (ranks > 1) messages = calibration::make_message_probes(request.message_bytes);
    for (auto const& task : request.passes) {
        passes.push_back(calibration::make_pass_probe(task));
    }
    for (auto const& task : request.attentions) {
        attentions.push_back(calibration::make_attention_probe(task));
    }
    auto tasks = request.gemms;
    std::ranges::stable_sort(tasks, {}, multiplications);
    for (auto const& task : tasks) gemms.push_back(calibration::make_gemm_probe(task));

    Probes all;
    std::size_t most = 0;
    for (auto const& probes : kinds) most = std::max(most, probes.size());
    for (std::size_t i = 0; i < most; ++i) {
        for (auto& probes : kinds) {
            if (i < probes.size()) all.push_back(std::move(probes[i]));
        }
    }
    return all;
}

/// At least one row of every matrix and two positions of every cache, twice.
std::size_t cold_bytes_of(CalibrationRequest const& request) {
    std::size_t bytes = request.cold_bytes;
    for (auto const& [work, busy] : request.gemms) {
        bytes = std::max(bytes, 2 * work.inputs * kernels::size_of(work.weight));
    }
    for (auto const& [work, busy] : request.attentions) {
        bytes = std::max(bytes, 4 * work.kv_heads * work.head_dim * kernels::size_of(work.cache));
    }
    return bytes;
}

MachinePoints points_of(Probes const& probes, int ranks) {
    MachinePoints points;
    points.ranks = ranks;
    for (auto const& probe : probes) probe->add_to(points);
    return points;
}

/// Whether the time is over and every kind of work was measured once.
bool suffices(Bench const& bench, CalibrationRequest const& request, Probes const& probes,
              int ranks) {
    return bench.elapsed() > request.seconds && missing_of(points_of(probes, ranks)).empty();
}

}  // namespace

Machine calibrate(kernels::Backend& backend, parallel::Communicator& ranks,
                  CalibrationRequest const& request, CalibrationProgress const& progress) {
    Bench bench(backend, ranks, cold_bytes_of(request));
    auto const probes = make_probes(request, ranks.size());
    kernels::require(!probes.empty() && request.seconds > 0, "nothing to measure, or no time");
    double const limit = share_of_samples * request.seconds / static_cast<double>(probes.size());
    for (std::size_t round = 0; round < most_rounds; ++round) {
        for (auto const& probe : probes) {
            if (suffices(bench, request, probes, ranks.size())) {
                return Machine(points_of(probes, ranks.size()));
            }
            probe->measure(bench, limit);
            if (progress) progress(std::min(1.0, bench.elapsed() / request.seconds));
        }
    }
    return Machine(points_of(probes, ranks.size()));
}

}  // namespace tesserank::model
