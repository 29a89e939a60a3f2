#include "model/assumed_links.hpp"

#include "parallel/self_communicator.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <utility>

namespace tesserank::model {
namespace {

using parallel::Collective;

/// An all-reduce of two ranks on one node, Open MPI 4.1.4, bare, as seen on one server of two
/// cores; only an assumption.
struct Message {
    std::size_t bytes;
    double seconds;
};
constexpr std::array shared_memory{Message{8, 0.3e-6},     Message{4096, 1.3e-6},
                                   Message{16384, 8.8e-6}, Message{65536, 20e-6},
                                   Message{262144, 53e-6}, Message{1048576, 131e-6}};

/// What is added inside a pass, where ranks arrive at different times and with cold caches.
constexpr double arrival_seconds = 10e-6;

/// Seconds compared with an all-reduce, which sends everything twice: apart and together again.
double share_of(Collective kind) { return kind == Collective::all_reduce ? 1.0 : 0.5; }

}  // namespace

Machine with_assumed_links(Machine const& local, int ranks) {
    auto points = local.points();
    points.ranks = ranks;
    points.collectives.clear();
    if (ranks == 1) return Machine(std::move(points));
    // A tree over the ranks, and what each sends compared with two ranks.
    auto const steps = static_cast<double>(std::bit_width(static_cast<unsigned>(ranks - 1)));
    double const bytes_sent = 2.0 * (ranks - 1) / ranks;
    for (auto const kind : parallel::all_collectives) {
        for (auto const& [bytes, seconds] : shared_memory) {
            points.collectives.push_back(
                {{{kind, bytes}, Busy::all},
                 steps * arrival_seconds + share_of(kind) * bytes_sent * seconds});
        }
    }
    return Machine(std::move(points));
}

Machine measure_with_assumed_links(kernels::Backend& backend, ModelRun const& run, double seconds) {
    parallel::SelfCommunicator alone;
    return with_assumed_links(calibrate(backend, alone, quick_calibration(run, seconds)),
                              run.ranks);
}

}  // namespace tesserank::model
