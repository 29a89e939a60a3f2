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

/// Of all the time, what one sample of everything may take; the first round takes some five.
constexpr double share_of_samples = 0.1;

double multiplications(Task<GemmWork> const& task) {
    return static_cast<double>(task.work.rows) * static_cast<double>(task.work.outputs) *
           static_cast<double>(task.work.inputs);
}

/// Of every kind of computation in turn, the smallest GEMMs first: when the time does not suffice
/// for one round, something is known of each, and the largest GEMMs are left to extrapolation.
Probes make_compute_probes(CalibrationRequest const& request) {
    std::array<Probes, 3> kinds;
    auto& [passes, attentions, gemms] = kinds;
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

/// Everything that is measured.
class Calibration {
  public:
    Calibration(CalibrationRequest const& request, int ranks)
        : ranks_{ranks},
          seconds_{request.seconds},
          computations_{make_compute_probes(request)},
          messages_{ranks == 1 ? Probes{}
                               : calibration::make_message_probes(request.message_bytes)} {
        kernels::require(!computations_.empty() && seconds_ > 0, "nothing to measure, or no time");
        limit_ = share_of_samples * seconds_ /
                 static_cast<double>(computations_.size() + messages_.size());
    }

    /// Messages stand between the computations, each once, then as many as take half of the time:
    /// collectives suffer most from other programs, so that their samples have to lie far apart.
    /// Collective.
    void run(Bench& bench, CalibrationProgress const& progress) {
        double computing = 0, sending = 0;
        std::size_t next_message = 0;
        for (std::size_t round = 0; round < most_rounds; ++round) {
            for (auto const& computation : computations_) {
                if (bench.elapsed() > seconds_ && missing_of(points()).empty()) return;
                computing += measure(*computation, bench);
                if (next_message < messages_.size() || sending <= computing) {
                    sending += measure_message(next_message++, bench);
                }
                if (progress) progress(std::min(1.0, bench.elapsed() / seconds_));
            }
        }
    }

    MachinePoints points() const {
        MachinePoints points;
        points.ranks = ranks_;
        for (auto const& probe : messages_) probe->add_to(points);
        for (auto const& probe : computations_) probe->add_to(points);
        return points;
    }

  private:
    /// Gives the seconds that it took, on every rank the same.
    double measure(Probe& probe, Bench& bench) const {
        double const start = bench.elapsed();
        probe.measure(bench, limit_);
        return bench.elapsed() - start;
    }

    double measure_message(std::size_t turn, Bench& bench) const {
        if (messages_.empty()) return 0;
        return measure(*messages_[turn % messages_.size()], bench);
    }

    int ranks_;
    double seconds_;
    Probes computations_, messages_;
    double limit_ = 0;
};

}  // namespace

Machine calibrate(kernels::Backend& backend, parallel::Communicator& ranks,
                  CalibrationRequest const& request, CalibrationProgress const& progress) {
    Bench bench(backend, ranks, cold_bytes_of(request));
    Calibration calibration(request, ranks.size());
    calibration.run(bench, progress);
    return Machine(calibration.points());
}

}  // namespace tesserank::model
